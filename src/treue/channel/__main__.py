"""The feature matrix, made from what the adapters declare; `docs/channels/README.md` is this, and a test holds it to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

from treue.channel.port import Capabilities
from treue.channel.registry import GROUP, served_kinds
from treue.packages import installed_entries

INTRODUCTION = """# Channels

A channel is set up in `treue.yaml`: its adapter, and what the adapter's page says it needs. Secrets come from the
environment.

```yaml
channels:
  email: {adapter: smtp, url: "${SMTP_URL:-}"}
  push: {adapter: fcm, credentials: "${FCM_CREDENTIALS}"}
```

Where none fits, write [an adapter of your own](custom.md).

Made from what the adapters declare; do not edit it by hand (`python -m treue.channel > docs/channels/README.md`).

| adapter | for | a customer needs | messages at once | same key again | tells later | a second | carries |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

LEGEND = """
- **messages at once**: how many one request, or one conversation, takes, and how many of those go side by side.
- **same key again**: how long a message with the same key is certain not to be sent twice. A message whose fate is
  unknown is sent again within this time; with –, marketing messages never are.
- **tells later**: what the provider reports of a message by calling back. What else it tells is kept as `unknown`, with the
  provider's own words, and has no consequences.
- **a second**: how many messages the provider takes by default; – where it names no figure. `rate` sets another.
- **best effort**: a yes means no more than that the message was handed over.

## What a provider can and Treue does not know

The option `extra` of the adapters to providers has fields of the provider's own, by the names in its reference. They go along
with every message of the channel; `check` does not know them.

```yaml
channels:
  email: {adapter: resend, api_key: "${RESEND_API_KEY}", extra: {topic_id: news}}
```

What is a mapping or a list there and in what Treue writes is joined; any other value of yours takes the place of Treue's, also
where that does harm: a recipient in `extra` would get everybody's mail. Texts may name environment variables.
"""


def page() -> str:
    """Return the page as Markdown: the adapters that come with Treue."""
    found = [entry for entry in installed_entries(GROUP) if entry.dist and entry.dist.name == "treue"]
    return INTRODUCTION + "".join(_rows(sorted(found, key=lambda entry: entry.name))) + LEGEND


def _rows(entries: list[EntryPoint]) -> Iterator[str]:
    for entry in entries:
        factory: Any = entry.load()
        cells = (
            f"[{entry.name}]({entry.name}.md)",
            ", ".join(served_kinds(factory)),
            *_cells(factory.capabilities),
        )
        yield f"| {' | '.join(cells)} |\n"


def _cells(can: Capabilities) -> tuple[str, ...]:
    return (
        can.address,
        f"{can.batch} × {can.at_once}" if can.at_once > 1 else str(can.batch),
        _window(can.dedup_window),
        ", ".join(sorted(can.callbacks)) or "–",
        f"{can.rate:g}" if can.rate else "–",
        ", ".join(_extras(can)) or "–",
    )


def _window(seconds: float) -> str:
    """Return a dedup window in words."""
    if seconds == math.inf:
        return "never twice"
    size, unit = (3600, "h") if seconds >= 3600 else (60, "min")
    return f"{seconds / size:g} {unit}" if seconds else "–"


def _extras(can: Capabilities) -> Iterator[str]:
    if can.attachments:
        yield "attachments"
    if can.scheduled:
        yield "send times"
    if can.best_effort:
        yield "**best effort**"


if __name__ == "__main__":
    print(page(), end="")

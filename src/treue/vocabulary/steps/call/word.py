"""`call: URL` makes an outgoing webhook: signed, retried, to listed hosts and never to a private address."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from treue.clock import Duration
from treue.language.calls import METHODS, VARIABLE, CallUrl, Json
from treue.language.grammar import Fields, Key, Length, Option, Text
from treue.language.step_rows import DEFAULT_VALID_FOR, leaf, step_row
from treue.language.steps import Leaf, OutboxCall
from treue.language.words import Word

_ATTRIBUTE = re.compile(r"\bcustomer\.([A-Za-z_]\w*)")


@dataclass(frozen=True)
class Call(Leaf):
    """Puts one outgoing webhook in the outbox for each customer. `json` is JSON text with templates in its texts."""

    url: str
    method: str
    json: str | None
    secret: str | None
    valid_for: Duration
    kind: Literal["call"] = "call"

    def words(self) -> str:
        """Return the method and the address."""
        return f"call {self.method} {self.url}"

    def outbox(self) -> OutboxCall:
        """Return the call it puts in the outbox."""
        return OutboxCall(self.url, self.method, self.json, self.secret, self.valid_for)

    def reads(self) -> tuple[str, ...]:
        """Return the attributes that its address and its document name."""
        return tuple(_ATTRIBUTE.findall(f"{self.url} {self.json or ''}"))


def _build(fields: Fields) -> Any:
    document, method = fields.get("json"), fields.get("method", "POST")
    if document is not None and method == "GET":
        hint = "Write `method: POST`, or put the values into the address."
        return fields.context.say(fields.at("json"), "T207", "A GET carries no `json`.", hint)
    return Call(
        **leaf(fields),
        url=fields.get("call"),
        method=method,
        json=None if document is None else json.dumps(document, ensure_ascii=False),
        secret=fields.get("secret"),
        valid_for=fields.get("valid_for", DEFAULT_VALID_FOR),
    )


ROW = step_row(
    "call",
    "Makes an outgoing webhook: signed, retried, never to a private address.",
    CallUrl(),
    _build,
    Key("method", Option(METHODS), "How it is called (default POST)."),
    Key("json", Json(), "The document it carries."),
    Key(
        "secret",
        Text("the name of an environment variable", VARIABLE),
        "The environment variable with the signing secret (Standard Webhooks).",
    ),
    Key("valid_for", Length(), "Not called later than this after its due time (default 1d)."),
)
WORD = Word("step", {"call": ROW}, (Call,))

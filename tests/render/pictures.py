"""Every mail of a workspace in a real browser: measured, and as pictures to look at.

`python tests/render/pictures.py OUT [TEMPLATE…]` writes a contact sheet for each template: each language and customer at
360 and 800 pixels, light and dark. It needs Chromium.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from treue.delivery.writing.preview import Person, preview, sample, sender_of
from treue.render.mail.on_screen import Scheme, in_scheme, self_contained
from treue.render.problem import RenderFailure
from treue.render.templates.workspace_check import workspace_renderer
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace
from treue.workspace.workspace import Workspace

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
WIDTHS = (360, 800)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "plain": {"first_name": "Jörg", "last_name": "Müller-Lüdenscheidt", "city": "Köln"},
    "long": {
        "first_name": "Wolfeschlegelsteinhausenbergerdorff-Maximiliane", "last_name": "Hubertine von und zu Schmidt",
        "city": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
    },
    "sparse": {"first_name": None, "last_name": None, "city": None, "country": None, "birthday": None},
}  # fmt: skip
"""Who gets the mails: somebody, somebody with long names and a large order, somebody of whom little is known."""
EVENTS: Mapping[str, Mapping[str, Any]] = {
    "plain": {}, "long": {"order_id": "2026-11-25-000000123456789012345678", "total": 1234567.89, "quantity": 1234},
    "sparse": {"order_id": None, "total": None, "currency": None, "quantity": None, "cart_id": None},
}  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """One mail for one of the people, as a page that loads nothing."""

    template: str
    locale: str
    person: str
    page: str


def mails(workspace: Workspace, templates: Iterable[str] = ()) -> Iterator[Mail]:
    """Yield every e-mail of a workspace, or of these templates, in each language for each of the people."""
    renderer = workspace_renderer(workspace)
    for name in templates or workspace.templates:
        for locale in dict.fromkeys(locale for channel, locale in renderer.sound(name) if channel == "email"):
            for person in PEOPLE:
                who = _person(workspace, name, person)
                found = preview(
                    workspace, renderer, name, "email", who, sender_of(workspace, name), NOW, locale or "en"
                )
                assert not isinstance(found, RenderFailure), (name, locale, person, found)
                yield Mail(name, locale or "en", person, self_contained(found))


def _person(workspace: Workspace, template: str, person: str) -> Person:
    made = sample(workspace, sender_of(workspace, template), NOW)
    event = None if made.event is None else {**made.event, **EVENTS[person]}
    return Person({**made.customer, **PEOPLE[person]}, event, [] if person == "sparse" else made.orders)


# --- the browser ------------------------------------------------------------------------------------------


def browser() -> str | None:
    """Return Chromium's command, or None where it is not installed."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )


def _run(page: str, *arguments: str) -> str:
    command = browser()
    assert command is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        done = subprocess.run(
            [
                command, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={folder}/profile", *arguments, file.as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
    return done.stdout.decode()


def photograph(page: str, width: int, height: int, out: Path) -> None:
    """Write a picture of a page."""
    _run(page, f"--window-size={width},{height}", f"--screenshot={out}")


def sheet(found: Iterable[Mail], height: int) -> tuple[str, int, int]:
    """Return a page that shows each mail at each width in each scheme, and its own width and height."""
    rows = list(found)
    cells = "".join(
        f"<tr><th>{mail.template} · {mail.locale} · {mail.person}</th></tr><tr><td>"
        + "".join(
            f'<iframe width="{width}" height="{height}" srcdoc="{html.escape(in_scheme(mail.page, scheme))}"></iframe>'
            for width in WIDTHS
            for scheme in SCHEMES
        )
        + "</td></tr>"
        for mail in rows
    )
    style = "body{margin:8px;background:#777;font:13px sans-serif}iframe{border:0;margin-right:8px;background:#fff}th{text-align:left}td{white-space:nowrap}"
    width = sum(WIDTHS) * len(SCHEMES) + 8 * 6
    return (
        f"<!doctype html><style>{style}</style><table>{cells}</table>",
        width,
        len(rows) * (height + 32) + 16,
    )


# --- what can be measured ---------------------------------------------------------------------------------

_MEASURE = """
<script>
const light = c => { const v = c / 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; };
const luminance = ([r, g, b]) => .2126 * light(r) + .7152 * light(g) + .0722 * light(b);
const numbers = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
function ground(element, view) {
  for (let one = element; one; one = one.parentElement) {
    const found = numbers(view.getComputedStyle(one).backgroundColor);
    if (found[3] > .99) return found;
  }
  return view.getComputedStyle(element.ownerDocument.documentElement).colorScheme.startsWith('dark') ? [18, 18, 18] : [255, 255, 255];
}
function measured(frame) {
  const inside = frame.contentDocument, view = frame.contentWindow, texts = [];
  const walk = inside.createTreeWalker(inside.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const words = node.data.replace(/[\\u00a0\\u200b-\\u200d\\u034f\\ufeff\\s]+/g, ' ').trim(), element = node.parentElement;
    if (!words || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const [a, b] = [luminance(numbers(view.getComputedStyle(element).color)), luminance(ground(element, view))];
    const range = inside.createRange(); range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    texts.push({words, contrast: (Math.max(a, b) + .05) / (Math.min(a, b) + .05), right: box.right, size: parseFloat(view.getComputedStyle(element).fontSize)});
  }
  return {wide: inside.documentElement.scrollWidth, room: inside.documentElement.clientWidth, texts};
}
addEventListener('load', () => {
  const found = [...document.querySelectorAll('iframe')].map(measured);
  document.body.innerHTML = '';
  const out = document.createElement('pre'); out.id = 'measured'; out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>
"""


def measure(pages: Iterable[str], width: int, *arguments: str) -> list[dict[str, Any]]:
    """Return for each page how wide it is, the room it had, and each text with contrast, right edge and size.

    `arguments` are more for the browser.
    """
    frames = "".join(
        f'<iframe width="{width}" height="600" srcdoc="{html.escape(page)}"></iframe>' for page in pages
    )
    page = f"<!doctype html><style>iframe{{border:0}}</style><body>{frames}{_MEASURE}</body>"
    dom = _run(page, *arguments, "--dump-dom")
    found = re.search(r'<pre id="measured">(.*?)</pre>', dom, re.DOTALL)
    assert found, dom[-500:]
    measured: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return measured


def main(out: Path, templates: list[str]) -> None:
    """Write a picture of each template, or of these, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    workspace = load(reference_workspace())
    for name in templates or sorted(workspace.templates):
        found = list(mails(workspace, [name]))
        if found:
            photograph(*sheet(found, 1300), out / f"{name}.png")
            print(out / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

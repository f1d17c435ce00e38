"""`treue preview`: one message as the customer gets it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import RenderError, UsageError

if TYPE_CHECKING:
    from treue.engine.previewing import Person
    from treue.language.journey import Journey
    from treue.render.renderer import Rendered
    from treue.workspace.loading import Workspace

CLIPPED = 102 * 1024
"""Bytes of HTML after which Gmail cuts a mail off behind a link."""

_ADDRESS = re.compile(r"https?://[^\s<>\"')\]]+")


def preview(
    context: typer.Context,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The message.")],
    customer: Annotated[
        str, typer.Option("--customer", metavar="ID", help="For this customer (default: a made-up one).")
    ] = "",
    channel: Annotated[
        str,
        typer.Option(
            "--channel", metavar="CHANNEL", help="email, sms or push (default: the first there is)."
        ),
    ] = "",
    locale: Annotated[
        str, typer.Option("--locale", metavar="LOCALE", help="In this language, such as de.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the HTML (or text) to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Show one message as the customer gets it.

    Tells its size, its links and how many SMS it takes. Nothing is sent.
    """
    workspace = opening.workspace(context)
    folder = workspace.templates[opening.known(template, workspace.templates, "template")]
    if channel and channel not in folder.channels:
        there = " and ".join(folder.channels)
        raise UsageError(f"The template {template} has nothing for `{channel}`; it has {there}.")
    rendered = _render(workspace, template, channel or folder.channels[0], customer, locale)
    if out is not None:
        out.write_text(rendered.html or rendered.text, encoding="utf-8")
    if json:
        output.document(**_document(template, rendered))
    else:
        _show(rendered, out)


def _render(workspace: Workspace, template: str, channel: str, customer: str, locale: str) -> Rendered:
    from treue.engine.previewing import preview as write
    from treue.engine.previewing import sender_of
    from treue.render.problem import RenderFailure
    from treue.render.workspace_check import workspace_renderer

    now, journey = utc_now(), sender_of(workspace, template)
    whom = _person(workspace, customer, journey)
    found = write(workspace, workspace_renderer(workspace), template, channel, whom, journey, now, locale)
    if isinstance(found, RenderFailure):
        place = f"{found.file}:{found.line}:{found.column} " if found.line else f"{found.file} "
        raise RenderError(f"{place.lstrip()}{found.message}")
    return found


def _person(workspace: Workspace, customer: str, journey: Journey | None) -> Person:
    from treue.engine.previewing import person, sample

    if not customer:
        return sample(workspace, journey, utc_now())
    with opening.store(workspace) as store, store.reading() as connection:
        return person(connection, workspace, customer, journey, utc_now())


def _document(template: str, found: Rendered) -> dict[str, Any]:
    length = _sms(found.text) if found.channel == "sms" else None
    return {
        "template": template,
        "channel": found.channel,
        "locale": found.locale,
        "subject": found.subject,
        "preheader": found.preheader,
        "title": found.title,
        "link": found.link,
        "text": found.text,
        "html": found.html,
        "size": _size(found),
        "clipped": _size(found) > CLIPPED,
        "links": links(found),
        "sms": length,
    }


def _sms(text: str) -> dict[str, Any]:
    from treue.render.sms import plainer, sms_length

    length = sms_length(text)
    return {
        "coding": length.coding,
        "units": length.units,
        "parts": length.parts,
        "unusual": list(length.unusual),
        "plain_parts": sms_length(plainer(text)).parts,
    }


def _show(found: Rendered, out: Path | None) -> None:
    for label, text in (
        ("subject", found.subject), ("preheader", found.preheader), ("title", found.title), ("link", found.link)
    ):  # fmt: skip
        if text:
            output.line(f"{output.styled(f'{label:<10}', 'dim')}{text}")
    output.line(f"{output.styled(f'''{'size':<10}''', 'dim')}{_measured(found)}")
    addresses = links(found)
    for n, address in enumerate(addresses):
        output.line(f"{output.styled(f'''{'links' if n == 0 else '':<10}''', 'dim')}{address}")
    if out is not None:
        output.line(f"{output.styled(f'''{'file':<10}''', 'dim')}{out}")
    output.line(f"\n{found.text}")


def _size(found: Rendered) -> int:
    return len((found.html or found.text).encode())


def _measured(found: Rendered) -> str:
    if found.channel == "sms":
        return _measured_sms(found.text)
    size = _size(found)
    text = f"{size / 1024:.1f} kB" + (" of HTML" if found.html else "")
    if found.html and size > CLIPPED:
        return output.styled(f"{text}: over 102 kB, Gmail cuts it off", "bad")
    return text


def _measured_sms(text: str) -> str:
    from treue.render.sms import named, plainer, sms_length

    length, plain = sms_length(text), sms_length(plainer(text))
    forced = f", because of {' '.join(map(named, length.unusual))}" if length.unusual else ""
    saved = f"; {plain.parts} with plain quotes, dashes and blanks" if plain.parts < length.parts else ""
    unit = "septets" if length.coding == "GSM-7" else "units"
    return f"{output.count(length.parts, 'part')}, {length.units} {unit} in {length.coding}{forced}{saved}"


class _Hrefs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("a", "area"):
            self.found += [value for name, value in attrs if name == "href" and value]


def links(found: Rendered) -> list[str]:
    """Return the addresses a message leads to, each once, in order."""
    if not found.html:
        return list(dict.fromkeys([*([found.link] if found.link else []), *_ADDRESS.findall(found.text)]))
    parser = _Hrefs()
    parser.feed(found.html)
    return list(dict.fromkeys(parser.found))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(preview)

"""`treue preview`: one message as the customer gets it."""

from __future__ import annotations

import os
import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import RenderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from treue.cli.authoring.preview.page import Shown
    from treue.delivery.writing.preview import Person
    from treue.language.journey import Journey
    from treue.render.templates.renderer import Rendered
    from treue.workspace.workspace import Workspace

PAGE = "preview.html"
"""The file in the workspace's state folder; each preview takes the place of the one before."""


def preview(
    context: typer.Context,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The message.")],
    customer: Annotated[
        str, typer.Option("--customer", metavar="ID", help="For this customer (default: a made-up one).")
    ] = "",
    channel: Annotated[
        str,
        typer.Option(
            "--channel", metavar="CHANNEL", help="Only email, sms or push (default: all there are)."
        ),
    ] = "",
    locale: Annotated[
        str, typer.Option("--locale", metavar="LOCALE", help="In this language, such as de.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the page to this file.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Json = False,
) -> None:
    """Show one message as the customer gets it.

    Tells its size, its links and how many SMS it takes, and writes a page that shows it on a desktop and a telephone, light and dark, beside its text. Nothing is sent.
    """
    workspace = opening.workspace(context)
    folder = workspace.templates[opening.known(template, workspace.templates, "template")]
    if channel and channel not in folder.channels:
        there = " and ".join(folder.channels)
        raise UsageError(f"The template {template} has nothing for `{channel}`; it has {there}.")
    journey, whom = _whom(workspace, template, customer)
    channels = [channel] if channel else folder.channels
    shown = [_shown(workspace, template, one, whom, journey, locale) for one in channels]
    first = _required(shown[0])
    if json and out is None and not show:
        output.document(**_document(template, first))
        return
    file = _write_page(workspace, template, whom, journey, shown, out)
    if json:
        output.document(**_document(template, first), page=str(file))
    else:
        _print(first, file)
    if show:
        webbrowser.open(file.as_uri())


def _whom(workspace: Workspace, template: str, customer: str) -> tuple[Journey | None, Person]:
    from treue.delivery.writing.preview import person, sample, sender_of

    journey = sender_of(workspace, template)
    if not customer:
        return journey, sample(workspace, journey, utc_now())
    with opening.store(workspace) as store, store.reading() as connection:
        return journey, person(connection, workspace, customer, journey, utc_now())


def _shown(
    workspace: Workspace, template: str, channel: str, whom: Person, journey: Journey | None, locale: str
) -> Shown:
    from treue.cli.authoring.preview.page import Shown
    from treue.delivery.writing.preview import mailbox
    from treue.delivery.writing.preview import preview as write
    from treue.model.states import ADDRESS
    from treue.render.templates.workspace_check import workspace_renderer

    renderer = workspace_renderer(workspace)
    found = write(workspace, renderer, template, channel, whom, journey, utc_now(), locale)
    name, address = mailbox(workspace, journey, template, found)
    return Shown(channel, found, name, address, str(whom.customer.get(ADDRESS[channel]) or ""))


def _required(shown: Shown) -> Rendered:
    """Return the message, or raise RenderError where there is none for this customer."""
    from treue.render.problem import RenderFailure

    found = shown.message
    if isinstance(found, RenderFailure):
        place = f"{found.file}:{found.line}:{found.column} " if found.line else f"{found.file} "
        raise RenderError(f"{place.lstrip()}{found.message}")
    return found


def _write_page(
    workspace: Workspace,
    template: str,
    whom: Person,
    journey: Journey | None,
    shown: Sequence[Shown],
    out: Path | None,
) -> Path:
    """Write the page, which only its owner may read, and return where it is."""
    from treue.cli.authoring.preview.page import Occasion, page
    from treue.workspace.files import state_folder

    names = (str(whom.customer.get(part) or "") for part in ("first_name", "last_name"))
    who = " ".join(name for name in names if name) or str(whom.customer.get("id") or "a customer")
    occasion = Occasion(
        template, who, journey.name if journey else "", utc_now(), workspace.settings.timezone
    )
    file = (out or state_folder(workspace.root) / PAGE).absolute()
    with os.fdopen(
        os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as opened:
        opened.write(page(occasion, shown))
    return file


def _document(template: str, found: Rendered) -> dict[str, Any]:
    from treue.cli.authoring.preview import facts

    length, size = facts.length(found), facts.size(found)
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
        "size": size,
        "clipped": size > facts.CLIPPED,
        "links": [link.address for link in facts.links(found)],
        "attachments": [
            {"name": one.name, "media_type": one.media_type, "size": len(one.content)} for one in found.attachments
        ],
        "sms": length and asdict(length),
    }  # fmt: skip


def _print(found: Rendered, file: Path) -> None:
    from treue.cli.authoring.preview import facts

    lines = [
        ("subject", found.subject),
        ("preheader", found.preheader),
        ("title", found.title),
        ("link", found.link),
    ]
    lines += [("size", _measured(found)), *(("attached", one.name) for one in found.attachments)]
    addresses = [link.address for link in facts.links(found)]
    lines += [("" if n else "links", address) for n, address in enumerate(addresses)]
    for label, text in (*lines, ("page", str(file))):
        if text:
            output.line(f"{output.styled(f'{label:<10}', 'dim')}{text}")
    output.line(f"\n{found.text}")


def _measured(found: Rendered) -> str:
    from treue.cli.authoring.preview import facts

    if length := facts.length(found):
        forced = f", because of {length.forced}" if length.unusual else ""
        saved = (
            f"; {length.plain_parts} with plain quotes, dashes and blanks"
            if length.plain_parts < length.parts
            else ""
        )
        return f"{output.count(length.parts, 'part')}, {length.units} {length.unit} in {length.coding}{forced}{saved}"
    size = facts.size(found)
    text = f"{size / 1024:.1f} kB" + (" of HTML" if found.html else "")
    if found.html and size > facts.CLIPPED:
        return output.styled(f"{text}: over 102 kB, Gmail cuts it off", "bad")
    return text


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(preview)

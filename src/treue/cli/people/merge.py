"""`treue merge`: two records of one person become one."""

from __future__ import annotations

import json as writer
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.clock import utc_now
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.store.merging import Merging


def merge(
    context: typer.Context,
    kept: Annotated[str, typer.Argument(metavar="ID", help="The customer whose record stays.")],
    merged: Annotated[str, typer.Argument(metavar="OTHER", help="The record merged into it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Merge the record OTHER into ID, as both are one person. It cannot be undone.

    Shows what that comes to, then asks. From then on whoever names OTHER means ID.
    """
    from treue.engine.door import merges
    from treue.store.merging import outlook

    workspace = opening.workspace(context)
    with opening.store(workspace) as store:
        with store.reading() as connection:
            found = outlook(connection, kept, merged)
        if found is not None:
            for text in _told(found, workspace.settings.timezone):
                output.line(text)
            if not yes and not _sure(found):
                raise UsageError("Nothing was merged. Off a terminal, `--yes` is needed.")
            found = merges.merge(store, kept, merged, utc_now())
    if found is None:
        output.line(f"{merged} was merged into {kept} before; there is nothing to do.")
    else:
        output.line(f"{found.merged['key']} is merged into {found.kept['key']}.")


def _sure(found: Merging) -> bool:
    question = f"Merge {found.merged['key']} into {found.kept['key']} for good?"
    return sys.stdin.isatty() and typer.confirm(question, err=True)


def _told(found: Merging, zone: str) -> Iterator[str]:
    """Yield what merging comes to, a line each."""
    kept, merged = found.kept["key"], found.merged["key"]
    counts = [
        output.count(found.events, "event"), output.count(found.messages, "message"), output.count(found.stays, "stay")
    ]  # fmt: skip
    yield f"{output.styled(f'{merged} into {kept}', 'strong')}  brings {', '.join(counts)}"
    for value in found.values:
        instead = f" instead of {_shown(value.kept)}" if value.kept not in (None, value.value) else ""
        says = "nothing" if value.value is None else _shown(value.value)
        yield f"  {value.name:<12}{says}{instead}, newer: {merged} says so since {_local(value.since, zone)}"
    for value in found.outdated:
        yield f"  {value.name:<12}{_shown(value.kept)} stays; {_shown(value.value)} of {merged} is older, and is lost"
    for one in found.consents:
        given = "given" if one.row["given"] else "withdrawn"
        yield f"  {one.channel:<12}consent {given} {_local(one.row['since'], zone)} ({one.row['basis']}) stands, the word of {one.record}"
    for stay in found.ending:
        since = f"the older stay, of {_local(stay.older_entered_at, zone)}, goes on"
        yield f"  {stay.journey:<12}that of {stay.record}, of {_local(stay.entered_at, zone)}, ends (merged): {since}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else writer.dumps(value, ensure_ascii=False)


def _local(at: datetime, zone: str) -> str:
    return opening.local(at, zone)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(merge)

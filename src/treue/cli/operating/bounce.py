"""`treue bounce`: what mails that came back say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import Json
from treue.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from treue.bounces.record import Verdict
    from treue.render.mail.return_paths import ReturnPaths


def bounce(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", help="Mails: files, folders of them, Maildirs, mbox files."),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Take in what came into the mailbox TREUE_BOUNCES instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Read bounce and complaint mails: the kind, hard or not, the status, the reason, the recipient."""
    if collect is bool(files):
        raise UsageError("`treue bounce` wants mails to read, or `--collect`, and not both.")
    if collect:
        _collect(context, json)
    else:
        _explain(context, files or [], json)


def _explain(context: typer.Context, files: list[Path], json: bool) -> None:
    paths = _return_paths(context)
    found, unreadable = list[dict[str, Any]](), list[str]()
    for file in files:
        try:
            found += _read(file, paths)
        except OSError as error:
            unreadable.append(f"{file}: {error.strerror or error}")
    if json:
        output.document(mails=found)
    else:
        _show(found)
    if unreadable:
        raise UsageError(f"Could not be read: {'; '.join(unreadable)}. All others are shown.")


def _collect(context: typer.Context, json: bool) -> None:
    """Keep what the mails in the workspace's mailbox say of its messages, and mark them as done."""
    from treue.clock import utc_now
    from treue.composition.assembly import assembled
    from treue.delivery.mailroom import MAILBOX_VARIABLE, look, named

    workspace = opening.workspace(context)
    where = named(workspace.root)
    if not where:
        raise SettingsError(
            f"{MAILBOX_VARIABLE} is not set; it names the mailbox that bounces come into, such as "
            "imaps://USER:PASSWORD@HOST/INBOX or the path of a Maildir."
        )
    with assembled(workspace, deliver=False) as assembly:
        found = look(where, assembly.store, assembly.return_paths, utc_now())
    if json:
        output.document(read=found.read, ours=found.ours)
    else:
        output.line(f"{output.count(found.read, 'mail')} read, {found.ours} of them about messages of ours.")


def _read(file: Path, paths: ReturnPaths | None) -> Iterator[dict[str, Any]]:
    from treue.bounces.files import letters
    from treue.bounces.reader import read

    for letter in letters(file):
        reading = read(letter.raw)
        ours = (paths.read(address) for address in reading.returned_to) if paths else iter(())
        yield {
            "file": letter.name,
            "kind": reading.kind,
            **_as_json(reading.verdict),
            "message": next((number for number in ours if number is not None), None),
            "message_id": reading.message_id,
            "recipients": [_as_json(one) for one in reading.verdicts],
        }


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "hard": verdict.hard,
        "status": verdict.status,
        "reason": verdict.cause.value,
        "recipient": verdict.recipient,
        "reply": verdict.reply,
        "given_up": verdict.given_up,
        "said": verdict.line,
    }


def _show(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            mail["file"],
            mail["kind"],
            _hard(mail["kind"], one),
            one["status"] or one["reply"],
            one["reason"],
            one["recipient"],
            mail["message"],
        )
        for mail in found
        for one in mail["recipients"]
    ]
    output.table(("file", "kind", "hard", "status", "reason", "recipient", "message"), rows)
    hard = sum(mail["hard"] for mail in found)
    output.tell(f"{output.count(len(found), 'mail')}, {hard} of them hard.")


def _hard(kind: str, one: dict[str, Any]) -> str:
    return "" if kind != "bounce" else "hard" if one["hard"] else "soft"


def _return_paths(context: typer.Context) -> ReturnPaths | None:
    """Return what tells our messages by their return paths, where there is a workspace that has sent any."""
    import os

    from treue.errors import TreueError
    from treue.render.mail.links import SECRET_VARIABLE, workspace_secret
    from treue.render.mail.return_paths import ReturnPaths
    from treue.workspace.files import find_root

    try:
        state = find_root(context.obj.workspace) / ".treue"
    except TreueError:
        if context.obj.workspace is not None:
            raise
        return None
    there = bool(os.environ.get(SECRET_VARIABLE)) or (state / "secret").exists()
    return ReturnPaths(workspace_secret(state)) if there else None


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(bounce)

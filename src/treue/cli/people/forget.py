"""`treue forget`: erase a person."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from treue.cli import opening, output
from treue.clock import utc_now
from treue.errors import UsageError


def forget(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase a customer: attributes, consents, events, journeys, messages. It cannot be undone.

    A keyed hash of each address stays, so that whoever comes back by an import is sent no marketing.
    """
    from treue.cli.authoring.preview.command import PAGE
    from treue.delivery import adapters
    from treue.render.mail.links import workspace_secret
    from treue.store.erasures import Erasures, every_address
    from treue.workspace.files import state_folder

    workspace = opening.workspace(context)
    if not yes and not _sure(key):
        raise UsageError("Nothing was erased. Off a terminal, `--yes` is needed.")
    state = state_folder(workspace.root)
    with opening.store(workspace) as store:
        with store.transaction() as connection:
            addresses = every_address(connection, key)
            number = Erasures(workspace_secret(state)).erase(connection, key, utc_now())
            (state / PAGE).unlink(missing_ok=True)
            adapters.forget(workspace.settings, workspace.root, addresses)
        store.expunge()
    kept = output.count(number, "hash of an address", "hashes of addresses")
    output.line(
        f"{key} is erased. {kept} {'stays' if number == 1 else 'stay'}, so that no marketing goes there."
    )


def _sure(key: str) -> bool:
    return sys.stdin.isatty() and typer.confirm(f"Erase everything about {key}?", err=True)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(forget)

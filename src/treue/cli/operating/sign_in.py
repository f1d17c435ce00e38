"""The verb `sign-in`, and where a browser finds what listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from treue.cli import opening

if TYPE_CHECKING:
    from pathlib import Path

    from treue.language.settings import Settings

PORT = 8420

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen at.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sign-in")(sign_in)


def sign_in(context: typer.Context, port: Port = PORT) -> None:
    """Print a new link that signs a browser in to the console and the inbox: once, within an hour, for a week."""
    from treue.vocabulary.workspace import load
    from treue.workspace.files import state_folder

    root = opening.root(context)
    for link in sign_in_links(state_folder(root), load(root).settings, address_of("localhost", port)):
        typer.echo(link)


def address_of(host: str, port: int) -> str:
    """Return the address at which a browser on this machine finds what listens there."""
    anywhere = host in ("127.0.0.1", "localhost", "0.0.0.0", "::", "::1")  # noqa: S104 - compared, not bound
    shown = "localhost" if anywhere else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def sign_in_links(state: Path, settings: Settings, address: str) -> list[str]:
    """Return the link to sign in with, and where customers' links lead to another machine, the one that leads there."""
    from urllib.parse import urlsplit

    from treue.clock import utc_now
    from treue.web.sessions import Sessions
    from treue.web.sign_in import PATH

    token = Sessions.of(state).link_token(utc_now())
    public = settings.public_url.value().rstrip("/")
    elsewhere = urlsplit(public).hostname not in ("localhost", "127.0.0.1", "::1")
    return [f"{base}{PATH}#{token}" for base in dict.fromkeys([address, *([public] if elsewhere else [])])]

"""`treue send`: a test message to oneself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from treue.channel import Accepted, Kind, Receipt, Refused, Retry
from treue.cli import opening, output
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.delivery.writing.proofs import Proof
    from treue.workspace.workspace import Workspace


def send(
    context: typer.Context,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="The message.")],
    customer: Annotated[str, typer.Option("--customer", metavar="ID", help="With this customer's data.")],
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="To this address, and to no other.")],
    channel: Annotated[
        str,
        typer.Option(
            "--channel", metavar="CHANNEL", help="By email, sms or push (default: the first there is)."
        ),
    ] = "",
    locale: Annotated[
        str, typer.Option("--locale", metavar="LOCALE", help="In this language, such as de.")
    ] = "",
    json: Json = False,
) -> None:
    """Send one message as a customer would get it to an address of your own.

    It goes through the workspace's channel, marked as a test, and is recorded nowhere. Its links lead nowhere: none of them unsubscribes the customer. Ends with 1 where it is not accepted.
    """
    workspace = opening.workspace(context)
    kind = _channel(workspace, template, channel)
    if not to.strip():
        raise UsageError("The address that --to names is empty.")
    proof = _send(workspace, template, kind, customer, to.strip(), locale)
    _show(workspace, proof, template, kind, to.strip(), json)
    raise typer.Exit(0 if isinstance(proof.receipt, Accepted) else 1)


def _channel(workspace: Workspace, template: str, channel: str) -> Kind:
    """Return the channel that is meant. Raises UsageError where the template or the workspace has no such."""
    folder = workspace.templates[opening.known(template, workspace.templates, "template")]
    if channel and channel not in folder.channels:
        there = " and ".join(folder.channels)
        raise UsageError(f"The template {template} has nothing for `{channel}`; it has {there}.")
    kind = channel or folder.channels[0]
    if kind not in workspace.settings.channels:
        raise UsageError(f"The channel `{kind}` is not set up under `channels` in treue.yaml.")
    return cast(Kind, kind)


def _send(workspace: Workspace, template: str, channel: Kind, customer: str, to: str, locale: str) -> Proof:
    from treue.composition.assembly import make_renderer
    from treue.delivery.writing.preview import person, sender_of
    from treue.delivery.writing.proofs import send_proof

    journey = sender_of(workspace, template)
    with opening.store(workspace) as store:
        with store.reading() as connection:
            whom = person(connection, workspace, customer, journey, utc_now())
        renderer = make_renderer(workspace, store)
        return send_proof(workspace, renderer, template, channel, whom, journey, to, utc_now(), locale)


def _show(workspace: Workspace, proof: Proof, template: str, channel: Kind, to: str, json: bool) -> None:
    from treue.delivery.adapters import taker

    if json:
        said = _document(proof.receipt)
        output.document(template=template, channel=channel, to=to, subject=proof.subject, **said)
        return
    who = taker(workspace.settings.channels[channel])
    what = f": {proof.subject}" if proof.subject else ""
    match proof.receipt:
        case Accepted(number):
            output.line(f"Accepted by {who} for {to}{what}" + (f" (id {number})" if number else ""))
        case Refused(reason) if not proof.written:
            output.line(f"Not sent, it cannot be written: {reason}")
        case Refused(reason):
            output.line(f"Refused by {who}: {reason}")
        case Retry(reason):
            output.line(f"Not sent, {who} may take it later: {reason}")
        case unknown:
            output.line(f"May or may not have been sent by {who}: {unknown.reason}")


def _document(receipt: Receipt) -> dict[str, str]:
    outcome = {Accepted: "accepted", Refused: "refused", Retry: "retry"}.get(type(receipt), "unknown")
    if isinstance(receipt, Accepted):
        return {"outcome": outcome, "provider_id": receipt.provider_id, "reason": ""}
    return {"outcome": outcome, "provider_id": "", "reason": receipt.reason}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(send)

"""Proofs: one message with a customer's data, sent through the real channel to somebody else, and recorded nowhere."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from treue.channel import Channel, Kind, Outgoing, Receipt, Refused
from treue.delivery.adapters import make_channel
from treue.delivery.dispatcher import Unwritable
from treue.delivery.writing.preview import Person, at_hand, preview
from treue.language.journey import Journey
from treue.render.problem import RenderFailure
from treue.render.templates.renderer import Rendered, Renderer
from treue.workspace.workspace import Workspace

MARK = "[Test] "
GOOD_FOR = timedelta(days=1)
"""How long a push service may keep it for a telephone that is off."""


@dataclass(frozen=True)
class Proof:
    """What a proof is called where it arrives, and what was said of it; `written` tells whether it came to the channel."""

    subject: str
    receipt: Receipt
    written: bool = True


class _Unrecorded:
    """A progress that lets everything go out and remembers nothing."""

    def started(self, key: str) -> bool:
        return True

    def settled(self, key: str, receipt: Receipt) -> None:
        pass


def send_proof(
    workspace: Workspace,
    renderer: Renderer,
    template: str,
    channel: Kind,
    whom: Person,
    journey: Journey | None,
    to: str,
    now: datetime,
    locale: str = "",
) -> Proof:
    """Send a template as a customer would get it to the address `to` alone, and return what came of it.

    It is written as `preview` writes it: its links are signed with no secret of ours, so that none of them can
    unsubscribe the customer. Raises ChannelError and SettingsError where the channel cannot be set up.
    """
    rendered = preview(workspace, renderer, template, channel, whom, journey, now, locale)
    if isinstance(rendered, RenderFailure):
        return Proof("", Refused(_told(rendered)), written=False)
    rendered = _marked(rendered)
    with ExitStack() as stack:
        adapter = make_channel(channel, workspace.settings.channels[channel], workspace.root, stack)
        stack.callback(adapter.close)
        writer, claimed = at_hand(workspace, renderer, template, channel, whom, journey, now, locale)
        writer = replace(writer, capabilities={channel: adapter.capabilities})
        message = replace(claimed, address=to, category="transactional", send_by=now + GOOD_FOR)
        return _sent(rendered.subject or rendered.title, writer.ready(message, rendered, "", now), adapter)


def _sent(subject: str, ready: Outgoing | Unwritable, adapter: Channel) -> Proof:
    if isinstance(ready, Unwritable):
        return Proof(subject, Refused(ready.detail), written=False)
    (receipt,) = adapter.send([ready], _Unrecorded())
    return Proof(subject, receipt)


def _marked(rendered: Rendered) -> Rendered:
    """Return the message with the mark before its subject or title; an SMS, which has neither, stays as long as it is."""
    return replace(
        rendered,
        subject=f"{MARK}{rendered.subject}" if rendered.subject else "",
        title=f"{MARK}{rendered.title}" if rendered.title else "",
    )


def _told(failure: RenderFailure) -> str:
    place = f"{failure.file}:{failure.line}:{failure.column}" if failure.line else failure.file
    return f"{place} {failure.message}".lstrip()

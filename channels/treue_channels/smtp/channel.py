"""The adapter: one recipient a message, a few connections for many messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from treue.channel import Capabilities, Kind, Outgoing, Progress, Receipt
from treue.errors import ChannelError
from treue_channels.smtp.desk import BatchDesk
from treue_channels.smtp.dkim import Signer
from treue_channels.smtp.envelope import Envelope
from treue_channels.smtp.line import Line, converse
from treue_channels.smtp.opening import Opener
from treue_channels.smtp.relay import read_url

BATCH = 500
_A_LINE = 50
"""Messages that are worth one more connection."""


class Smtp:
    """Sends e-mail through a relay.

    `url` is `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…` (TLS from the first
    byte). Off this machine certificates are verified and no password goes over an open line. Options
    follow a `?`: `starttls=required`, `timeout=SECONDS`, `ca=FILE` (PEM of a private authority),
    `ehlo=NAME`, `max_per_connection=N`, after how many messages another connection is opened, and `sessions=N`,
    how many are open at a time at most: after a crash no more messages than that are in doubt. With `dkim_domain`, `dkim_selector` and `dkim_key` (a
    private key as PEM, or the name of its file) mails are signed. Raises ChannelError where the URL cannot be
    read or the key cannot be used.
    """

    capabilities = Capabilities(
        kind="email", batch=BATCH, mime=True, eight_bit=True, attachments=True, address="an e-mail address"
    )

    def __init__(
        self,
        url: str,
        kind: Kind = "email",
        dkim_domain: str = "",
        dkim_selector: str = "",
        dkim_key: str = "",
    ) -> None:
        if kind != "email":
            raise ChannelError(
                f"The smtp adapter sends e-mail, not {kind}; give that channel another adapter."
            )
        self._relay = read_url(url)
        signer = None
        if dkim_domain or dkim_selector or dkim_key:
            signer = Signer(dkim_domain, dkim_selector, dkim_key)
            # A server on the way that changed 8bit to something else would break the signature (RFC 6376, 5.3).
            self.capabilities = replace(self.capabilities, eight_bit=False)
        self._opener = Opener(self._relay)
        self._envelope = Envelope(self._relay.host, signer)
        self._lines: list[Line] = []
        self._most = self._relay.sessions

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order.

        Once the server cannot be reached, the rest of the batch is not tried: each comes back as Retry.
        """
        desk = BatchDesk(batch, progress, self._relay, self._envelope)
        lines, self._lines = self._lines, []  # while they are in use, nobody finds one half-way
        try:
            while desk.waiting and desk.down is None:
                lines = self._enough(lines, desk)
                converse(lines, desk)
                lines = _usable(lines)
                if not desk.waiting and desk.bring_back():
                    lines = _leave(lines)  # what broke a connection goes over one of its own
            self._lines, lines = lines, []
        finally:
            for line in lines:
                line.drop()
        return desk.finish()

    def _enough(self, lines: list[Line], desk: BatchDesk) -> list[Line]:
        """Return as many open lines as the waiting messages are worth; at least one, or the desk is told why not."""
        kept = [line for line in lines if not line.stale()]
        for line in lines:
            if line not in kept:
                line.drop()
        # After a doubt, one connection is enough to see whether the server is well.
        wanted = 1 if desk.shaken else min(self._most, 1 + (len(desk.waiting) - 1) // _A_LINE)
        while len(kept) < wanted:
            opened = self._opener.open()
            if isinstance(opened, Line):
                kept.append(opened)
                continue
            if not kept:
                desk.down = opened
            self._most = max(len(kept), 1)  # so many it lets in; more are not asked for again
            break
        return kept

    def close(self) -> None:
        """Say goodbye to the server and hang up."""
        self._most = self._relay.sessions
        self._lines = _leave(self._lines)


def _usable(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that can carry more, and hang up those that have carried enough."""
    _leave([line for line in lines if line.spent and not line.over])
    return [line for line in lines if not line.over and not line.spent]


def _leave(lines: Sequence[Line]) -> list[Line]:
    """Say goodbye on each line; return those that are left: none."""
    for line in lines:
        line.leave()
    return []

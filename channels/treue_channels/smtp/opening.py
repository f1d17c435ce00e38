"""Opening a session: connection, greeting, TLS and login, one step after the other (by smtplib)."""

from __future__ import annotations

import smtplib
import socket
import ssl
from functools import cached_property

from treue.channel import Retry
from treue_channels.smtp.line import Line
from treue_channels.smtp.relay import Relay
from treue_channels.smtp.replies import SLOW, printable

_SETTINGS = (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError, ssl.SSLError)


class Opener:
    """Opens sessions with one relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def open(self) -> Line | Retry:
        """Return an open line, or why there is none. Never raises."""
        relay = self._relay
        wire: smtplib.SMTP | None = None
        try:
            wire = self._connect()
            self._log_in(wire)
            return Line(wire, relay.timeout, relay.max_per_connection)
        except Exception as error:
            if wire is not None:
                wire.close()
            reason = f"Could not open a session with {relay.host}:{relay.port}: {said(error)}"
            ours = isinstance(error, _SETTINGS)
            return Retry(relay.redacted(reason), SLOW if ours else Retry.after, everyone=True, ours=ours)

    def _connect(self) -> smtplib.SMTP:
        relay = self._relay
        name = relay.ehlo or ("localhost" if relay.loopback else None)
        wire: smtplib.SMTP
        if relay.implicit_tls:
            wire = smtplib.SMTP_SSL(
                relay.host, relay.port, name, timeout=relay.timeout, context=self._context
            )
        else:
            wire = smtplib.SMTP(relay.host, relay.port, name, timeout=relay.timeout)
        if wire.sock:
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire

    def _log_in(self, wire: smtplib.SMTP) -> None:
        relay = self._relay
        wire.ehlo_or_helo_if_needed()
        encrypted = relay.implicit_tls
        if not encrypted and self._wants_starttls(wire):
            wire.starttls(context=self._context)
            wire.ehlo_or_helo_if_needed()
            encrypted = True
        if not relay.user:
            return
        if not encrypted and not relay.loopback:
            raise smtplib.SMTPNotSupportedError(
                "it offers no STARTTLS, and a password is not sent in the open"
            )
        wire.login(relay.user, relay.password)

    def _wants_starttls(self, wire: smtplib.SMTP) -> bool:
        if self._relay.starttls == "required":
            return True
        return not self._relay.loopback and wire.has_extn("starttls")

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._relay.ca or None)


def said(error: Exception) -> str:
    """Return what an exception says, as a sentence's end."""
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        text = words.decode(errors="replace") if isinstance(words, bytes) else words
        return f"it answered {error.smtp_code} {printable(text)}"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return printable(str(error)) or type(error).__name__

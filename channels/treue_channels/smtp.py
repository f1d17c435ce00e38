"""E-mail over SMTP (RFC 5321): one recipient a message, one connection for many messages.

The line between "certainly not sent" and "perhaps sent" is the final dot: a connection that breaks before
it leaves nothing behind, one that breaks after it and before the answer leaves a doubt (RFC 1047).
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from functools import cached_property

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Capabilities,
    Kind,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Retry,
    Unknown,
)
from treue.errors import ChannelError
from treue_channels.relay import read_url

BATCH = 100
_SLOW = 300.0
"""Seconds to wait where trying again soon cannot help: a wrong password, a certificate, greylisting."""
_LOSSES = 3
_REASON = 300

_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f-\x9f@<>()\[\]\\,;:\"]+@[^\s\x00-\x1f\x7f-\x9f@<>()\[\]\\,;:\"]+")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
_QUEUED = re.compile(
    r"queued as <?([\w.@+=-]+)|\bid=<?([\w.@+=-]+)|^(?:2\.\d\.\d )?ok:? ([\w.@+-]*\d[\w.@+-]*)$",
    re.IGNORECASE,
)
# RFC 3463: bad mailbox, bad system, bad syntax, moved away, null MX (RFC 7505), disabled. Not 5.7.x: our fault.
_DEAD = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"}


class _StaleError(Exception):
    """The server had hung up before this message; nothing of it was heard."""


class Smtp:
    """Sends e-mail through a relay.

    `url` is `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…` (TLS from the first
    byte). Off this machine certificates are verified and no password goes over an open line. Options
    follow a `?`: `starttls=required`, `timeout=SECONDS`, `ca=FILE` (PEM of a private authority) and
    `ehlo=NAME`. Raises ChannelError where the URL cannot be read.
    """

    capabilities = Capabilities(
        kind="email", batch=BATCH, mime=True, attachments=True, address="an e-mail address"
    )

    def __init__(self, url: str, kind: Kind = "email") -> None:
        if kind != "email":
            raise ChannelError(
                f"The smtp adapter sends e-mail, not {kind}; give that channel another adapter."
            )
        self._relay = read_url(url)
        self._wire: smtplib.SMTP | None = None
        self._down: Retry | None = None
        self._losses = 0

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Send each message and return its receipt, in order.

        Once the server cannot be reached, the rest of the batch is not tried: each comes back as Retry.
        """
        self._down, self._losses = None, 0
        receipts: list[Receipt] = []
        for message in batch:
            receipt = self._receipt(message, progress)
            progress.settled(message.key, receipt)
            receipts.append(receipt)
        return receipts

    def close(self) -> None:
        """Say goodbye to the server and hang up."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        with contextlib.suppress(Exception):
            if wire.sock:
                wire.sock.settimeout(min(5.0, self._relay.timeout))
            wire.quit()
        wire.close()

    def _receipt(self, message: Outgoing, progress: Progress) -> Receipt:
        """Return what became of one message."""
        sender, to = (_ascii_domain(address) for address in (message.sender, message.to))
        if to is None or not to:
            return Refused("The recipient is not one plain e-mail address.")
        if sender is None:
            return Refused("The envelope's sender is not one plain e-mail address.")
        if not _crlf_only(message.raw):
            return Refused("The message is empty or has line ends other than CRLF (RFC 5321 2.3.8).")
        if self._down:
            return self._down
        return self._attempt(message.key, sender, to, message.raw, progress)

    def _attempt(self, key: str, sender: str, to: str, raw: bytes, progress: Progress) -> Receipt:
        wire, self._wire = self._wire, None  # while it is in use, nobody finds it half-way
        fresh = wire is None
        if wire is None and (wire := self._connect()) is None:
            return self._unreachable()
        if not progress.started(key):
            self._wire = wire
            return TAKEN_OVER
        try:
            return self._transact(wire, sender, to, raw, fresh)
        except _StaleError:
            again = self._connect()
            return self._transact(again, sender, to, raw, True) if again else self._unreachable()

    def _transact(self, wire: smtplib.SMTP, sender: str, to: str, raw: bytes, fresh: bool) -> Receipt:
        try:
            receipt = self._converse(wire, sender, to, raw, fresh)
        except _StaleError:
            wire.close()
            raise
        except Exception as error:
            wire.close()
            return Retry(self._broke(error))
        self._keep(wire, receipt)
        return receipt

    def _converse(self, wire: smtplib.SMTP, sender: str, to: str, raw: bytes, fresh: bool) -> Receipt:
        """Hold one mail transaction. Whatever it raises was raised before the final dot was sent."""
        parameters = self._parameters(wire, sender, to, raw)
        if not isinstance(parameters, str):
            return parameters
        code, text = self._mail(wire, f"FROM:<{sender}>{parameters}", fresh)
        if code // 100 != 2:
            return self._rejected("sender", code, text)
        code, text = wire.docmd("RCPT", f"TO:<{to}>")
        if code // 100 != 2:
            return self._rejected("recipient", code, text)
        code, text = wire.docmd("DATA")
        if code != 354:
            return self._rejected("DATA", code, text)
        wire.send(_stuffed(raw))
        return self._verdict(wire)

    def _verdict(self, wire: smtplib.SMTP) -> Receipt:
        """Return the receipt for a message that has been sent to its end."""
        try:
            code, text = wire.getreply()
            if code // 100 == 2:
                return Accepted(_queue_id(_line(text)))
            return self._rejected("message", code, text)
        except Exception as error:
            wire.close()
            return Unknown(self._broke(error))

    def _mail(self, wire: smtplib.SMTP, arguments: str, fresh: bool) -> tuple[int, bytes]:
        """Begin a transaction; an old connection may have been closed meanwhile, which costs nothing."""
        try:
            code, text = wire.docmd("MAIL", arguments)
        except smtplib.SMTPServerDisconnected:
            if fresh:
                raise
            raise _StaleError from None
        if code == 421 and not fresh:
            raise _StaleError
        return code, text

    def _parameters(self, wire: smtplib.SMTP, sender: str, to: str, raw: bytes) -> str | Receipt:
        """Return the parameters of MAIL FROM, or a receipt where the server cannot carry the message."""
        parameters = f" SIZE={len(raw)}" if wire.has_extn("size") else ""
        if not raw.isascii():
            if not wire.has_extn("8bitmime"):
                return Retry(f"{self._relay.host} does not take 8-bit messages (RFC 6152).", _SLOW)
            parameters += " BODY=8BITMIME"
        wire.command_encoding = "ascii"
        if not (sender + to).isascii():
            if not wire.has_extn("smtputf8"):
                return Refused(f"{self._relay.host} takes ASCII addresses only (no SMTPUTF8, RFC 6531).")
            wire.command_encoding = "utf-8"
            parameters += " SMTPUTF8"
        return parameters

    def _rejected(self, what: str, code: int, text: bytes | str) -> Receipt:
        """Return the receipt for a reply that is not a yes; `what` is the part it was about."""
        line = _line(text)
        reason = self._redacted(f"{self._relay.host} answered {code} {line} to the {what}")
        found = _ENHANCED.match(line)
        enhanced = found[1] if found else ""
        if code // 100 == 5 and code != 530:  # 530: log in first; the settings are wrong, not the message
            return Refused(reason, suppress=what in ("recipient", "message") and enhanced in _DEAD)
        if code // 100 in (4, 5):
            return Retry(reason, _SLOW if code == 530 or enhanced.startswith("4.7.") else Retry.after)
        raise smtplib.SMTPResponseException(code, f"which is no answer to the {what}")

    def _keep(self, wire: smtplib.SMTP, receipt: Receipt) -> None:
        """Keep the connection for the next message, its state cleared where this one failed."""
        if isinstance(receipt, Unknown):
            return
        self._losses = 0
        if not isinstance(receipt, Accepted) and not _reset(wire):
            wire.close()
            return
        self._wire = wire

    def _broke(self, error: Exception) -> str:
        """Return the reason of a conversation that broke off; too many in a row end the batch."""
        reason = self._redacted(f"The conversation with {self._relay.host} broke off: {_said(error)}")
        self._losses += 1
        if self._losses >= _LOSSES:
            self._down = Retry(reason)
        return reason

    def _unreachable(self) -> Retry:
        assert self._down is not None
        return self._down

    def _connect(self) -> smtplib.SMTP | None:
        """Return an open connection, or None with the reason left in `_down`."""
        wire: smtplib.SMTP | None = None
        try:
            wire = self._open()
            self._log_in(wire)
        except Exception as error:
            if wire is not None:
                wire.close()
            where = f"{self._relay.host}:{self._relay.port}"
            settings = isinstance(
                error, smtplib.SMTPAuthenticationError | smtplib.SMTPNotSupportedError | ssl.SSLError
            )
            reason = self._redacted(f"Could not open a session with {where}: {_said(error)}")
            self._down = Retry(reason, _SLOW if settings else Retry.after)
            return None
        return wire

    def _open(self) -> smtplib.SMTP:
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

    def _redacted(self, reason: str) -> str:
        for secret in self._relay.secrets:
            reason = reason.replace(secret, "***")
        return reason[:_REASON]


def _ascii_domain(address: str) -> str | None:
    """Return the address with its domain in ASCII (IDNA 2008), "" for none, or None if it is no address."""
    if not address or (address.isascii() and _ADDRESS.fullmatch(address)):
        return address
    if not _ADDRESS.fullmatch(address):
        return None
    import idna

    local, _, domain = address.partition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError:
        return None


def _crlf_only(raw: bytes) -> bool:
    """Say whether every line ends in CRLF. A bare CR or LF is how a second mail is smuggled into a first."""
    return bool(raw) and raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")


def _stuffed(raw: bytes) -> bytes:
    """Return the message as DATA wants it: leading dots doubled (RFC 5321 4.5.2), the final dot behind it."""
    body = raw.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")


def _reset(wire: smtplib.SMTP) -> bool:
    """Say whether the server is ready for another message after this failed one."""
    try:
        return wire.rset()[0] // 100 == 2
    except Exception:
        return False


def _line(text: bytes | str) -> str:
    """Return a server's reply as one printable line: it may hold anything."""
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())


def _queue_id(line: str) -> str:
    found = _QUEUED.search(line)
    return next((part for part in found.groups() if part), "") if found else ""


def _said(error: Exception) -> str:
    """Return what an exception says, as a sentence's end."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return _line(str(error)) or type(error).__name__

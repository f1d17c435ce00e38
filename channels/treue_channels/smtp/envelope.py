"""A message made ready for a server: its commands and its bytes, or why it cannot be sent there."""

from __future__ import annotations

import re
from functools import lru_cache

from treue.channel import Receipt, Refused, Retry
from treue.clock import utc_now
from treue_channels.smtp.dialogue import Job, Offers
from treue_channels.smtp.dkim import Signer
from treue_channels.smtp.replies import SLOW
from treue_channels.smtp.seven_bit import seven_bit

_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f-\x9f@<>()\[\]\\,;:\"]+@[^\s\x00-\x1f\x7f-\x9f@<>()\[\]\\,;:\"]+")


class Envelope:
    """Puts messages into envelopes for the relay called `host`, signed where there is a signer."""

    def __init__(self, host: str, signer: Signer | None = None) -> None:
        self._host, self._signer = host, signer

    def fill(self, job: Job, offers: Offers) -> Receipt | None:
        """Write the job's commands and content for a server that offers this; return a receipt where that fails."""
        message = job.message
        sender, to = ascii_domain(message.sender), ascii_domain(message.to)
        if not to:
            return Refused("The recipient is not one plain e-mail address.")
        if sender is None:
            return Retry("The envelope's sender is not one plain e-mail address.", SLOW, ours=True)
        if not _crlf_only(message.raw):
            return Refused("The message is empty or has line ends other than CRLF (RFC 5321 2.3.8).")
        raw = message.raw if offers.eight_bit else seven_bit(message.raw)
        if self._signer is not None:
            raw = self._signer.signed(raw, utc_now())
        parameters = self._parameters(sender + to, raw, offers)
        if not isinstance(parameters, str):
            return parameters
        job.mail = f"MAIL FROM:<{sender}>{parameters}\r\n".encode()
        job.rcpt = f"RCPT TO:<{to}>\r\n".encode()
        job.content = _stuffed(raw)
        return None

    def _parameters(self, addresses: str, raw: bytes, offers: Offers) -> str | Receipt:
        """Return the parameters of MAIL FROM, or a receipt where the server cannot carry the message."""
        parameters = f" SIZE={len(raw)}" if offers.size else ""
        if not raw.isascii():
            if not offers.eight_bit:
                return Retry(f"{self._host} does not take 8-bit messages (RFC 6152).", SLOW, ours=True)
            parameters += " BODY=8BITMIME"
        if not addresses.isascii():
            if not offers.utf8:
                return Refused(f"{self._host} takes ASCII addresses only (no SMTPUTF8, RFC 6531).")
            parameters += " SMTPUTF8"
        return parameters


@lru_cache(maxsize=4096)
def ascii_domain(address: str) -> str | None:
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

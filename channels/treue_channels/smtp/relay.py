"""The relay an SMTP URL names: where it is, how to log in, and what must never show up in a text."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from treue.errors import ChannelError

TIMEOUT = 60.0
"""Seconds for each step of the conversation. RFC 5321 4.5.3.2 would allow 10 minutes after the final dot."""
_OPTIONS = ("starttls", "timeout", "ca", "ehlo", "sessions", "max_per_connection")
SESSIONS = 8
"""Connections at a time. Each has at most one message on the wire, so no more are in doubt after a crash."""
MAX_PER_CONNECTION = 100
"""Messages over one connection; then another is opened."""
_REASON = 300
_SHAPE = "smtp://user:password@host:port or smtps://…, with %40 for an @ in the user's name"


@dataclass(frozen=True)
class Relay:
    """Where to connect and how, read from a URL."""

    host: str
    port: int
    implicit_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: str = "auto"
    timeout: float = TIMEOUT
    ca: str = ""
    ehlo: str = ""
    sessions: int = SESSIONS
    max_per_connection: int = MAX_PER_CONNECTION

    @property
    def loopback(self) -> bool:
        """Say whether the name or address can only mean this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @cached_property
    def secrets(self) -> list[str]:
        """Return every form in which the credentials could turn up in a text, longest first."""
        plain = {self.user, self.password, f"\0{self.user}\0{self.password}"}
        forms = plain | {quote(text, safe="") for text in plain}
        forms |= {b64encode(text.encode()).decode() for text in plain}
        return (
            sorted((text for text in forms if text.strip("\0%")), key=len, reverse=True) if self.user else []
        )

    def redacted(self, reason: str) -> str:
        """Return a reason without the credentials, and not too long."""
        for secret in self.secrets:
            reason = reason.replace(secret, "***")
        return reason[:_REASON]


def read_url(url: str) -> Relay:
    """Return the relay a URL means, or raise ChannelError. The errors never quote the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ChannelError(f"The URL of the smtp channel cannot be read; it looks like {_SHAPE}.") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise ChannelError(f"The URL of the smtp channel is not one; it looks like {_SHAPE}.")
    implicit = parts.scheme == "smtps"
    return Relay(
        host=parts.hostname,
        port=port or (465 if implicit else 587 if parts.username else 25),
        implicit_tls=implicit,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        **_options(options),
    )


def _options(given: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        known = f"{', '.join(_OPTIONS[:-1])} and {_OPTIONS[-1]}"
        raise ChannelError(f"The smtp channel's URL has no option {unknown[0]!r}; it knows {known}.")
    if given.get("starttls", "auto") not in ("auto", "required"):
        raise ChannelError("The smtp channel's option starttls is auto or required.")
    options: dict[str, Any] = dict(given)
    if "timeout" in given:
        options["timeout"] = (
            float(given["timeout"]) if re.fullmatch(r"\d{1,4}(\.\d+)?", given["timeout"]) else 0
        )
        if not 0 < options["timeout"] <= 3600:
            raise ChannelError("The smtp channel's option timeout is a number of seconds, such as 60.")
    for name, most in (("sessions", 50), ("max_per_connection", 10_000)):
        if name in given:
            options[name] = int(given[name]) if re.fullmatch(r"\d{1,5}", given[name]) else 0
            if not 1 <= options[name] <= most:
                raise ChannelError(f"The smtp channel's option {name} is a number from 1 to {most}.")
    return options

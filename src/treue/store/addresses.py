"""One spelling for each address, so that customers, suppressions and bounces meet."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

from treue.errors import RejectedInput

# Deliberately narrower than RFC 5321: no quoted local parts, no literals, nothing that can add a recipient.
_EMAIL = re.compile(
    r"[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,64}@([^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f.]{1,63}\.?)+"
)
_PHONE = re.compile(r"\+?[0-9]{3,15}")
_LONGEST_KEY = 500
_PHONE_FILLING = re.compile(r"[\s().\-/]+")


def email(text: str) -> str:
    """Return the address trimmed, its domain in lower case; raise RejectedInput where it is none."""
    trimmed = text.strip()
    unlike = len(trimmed) > 254 or not trimmed.isprintable() or not _EMAIL.fullmatch(trimmed)
    if unlike or ".." in trimmed or trimmed[-1] == ".":
        raise RejectedInput(f"{shown(text)} is not an e-mail address; one looks like ada@example.com.")
    local, _, domain = trimmed.rpartition("@")
    return f"{local}@{domain.lower()}"


def phone(text: str) -> str:
    """Return the number with `+` or its digits only (E.164 where it came so); raise RejectedInput otherwise."""
    digits = _PHONE_FILLING.sub("", text.replace("(0)", ""))
    digits = "+" + digits[2:] if digits.startswith("00") else digits
    if not _PHONE.fullmatch(digits):
        raise RejectedInput(f"{shown(text)} is not a telephone number; one looks like +49 151 23456789.")
    return digits


def push_token(text: str) -> str:
    """Return the token trimmed; raise RejectedInput where it has blanks inside or is over 4 kB."""
    token = text.strip()
    if not token or len(token) > 4096 or " " in token or not token.isprintable():
        raise RejectedInput("The push token is empty, too long, or has blanks in it.")
    return token


BY_CHANNEL = {"email": email, "sms": phone, "push": push_token}


def key(channel: str, address: str) -> str:
    """Return what is equal for all spellings of an address, which is in its normal form already (`BY_CHANNEL`).

    Of an e-mail address both parts in lower case, the domain in ASCII (IDNA 2008); dots and a `+tag` stay, as only some
    providers ignore them. Of a push token that is too long for an index, a hash.
    """
    if channel == "push" and len(address) > _LONGEST_KEY:
        return "blake2b:" + blake2b(address.encode(), digest_size=32).hexdigest()
    if channel != "email":
        return address
    if address.isascii():
        return address.lower()
    local, _, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFC', local).lower()}@{_ascii(domain)}"


def key_of(channel: str, text: str) -> str:
    """Return the key of an address however it is spelt; raise RejectedInput where it does not fit the channel."""
    normalise = BY_CHANNEL.get(channel)
    if normalise is None:
        known = ", ".join(BY_CHANNEL)
        raise RejectedInput(f"There is no channel {channel!r} with addresses of its own; there are {known}.")
    return key(channel, normalise(text))


def _ascii(domain: str) -> str:
    import idna  # large, and most addresses need none of it

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return domain.lower()


def shown(text: str) -> str:
    """Return a text from outside, short and on one line, for use in a sentence."""
    return repr(text if len(text) <= 60 else text[:57] + "...")

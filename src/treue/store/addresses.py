"""One spelling for each address, so that customers, suppressions and bounces meet."""

from __future__ import annotations

import re

from treue.errors import RejectedInput

# Deliberately narrower than RFC 5321: no quoted local parts, no literals, nothing that can add a recipient.
_EMAIL = re.compile(
    r"[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,64}@([^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f.]{1,63}\.?)+"
)
_PHONE = re.compile(r"\+?[0-9]{3,15}")
_PHONE_FILLING = re.compile(r"[\s().\-/]+")


def email(text: str) -> str:
    """Return the address trimmed, its domain in lower case; raise RejectedInput where it is none."""
    trimmed = text.strip()
    if len(trimmed) > 254 or not _EMAIL.fullmatch(trimmed) or ".." in trimmed or trimmed[-1] == ".":
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
    if not token or len(token) > 4096 or re.search(r"[\s\x00-\x1f]", token):
        raise RejectedInput("The push token is empty, too long, or has blanks in it.")
    return token


BY_CHANNEL = {"email": email, "sms": phone, "push": push_token}


def shown(text: str) -> str:
    """Return a text from outside, short and on one line, for use in a sentence."""
    return repr(text if len(text) <= 60 else text[:57] + "...")

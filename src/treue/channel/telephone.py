"""Telephone numbers and sender ids as SMS providers take them.

A number is E.164: `+`, the country and the rest, at most 15 digits (ITU-T E.164, section 6.2.1). A national number is
not completed: which country it belongs to is not ours to guess.
"""

from __future__ import annotations

import re

from treue.channel.outcomes import Refused
from treue.errors import ChannelError

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SHORT_CODE = re.compile(r"[0-9]{3,8}", re.ASCII)
_LONGEST_NAME = 11
_DIGITS = re.compile(r"\+?[0-9]{3,15}", re.ASCII)


def is_e164(number: str) -> bool:
    """Whether this is a telephone number with its country."""
    return bool(_E164.fullmatch(number))


def not_a_number(number: str) -> Refused | None:
    """Return why no SMS can go to `number`, or None where one can. The reason does not repeat it."""
    if is_e164(number):
        return None
    if _DIGITS.fullmatch(number):
        return Refused("The telephone number does not begin with + and its country, as +49151… does.")
    return Refused("The address is no telephone number; one looks like +4915123456789.")


def international(digits: str) -> str:
    """Return a number that a provider wrote without its plus, as we write it; whatever else it is stays as it came."""
    number = "+" + digits.removeprefix("+")
    return number if is_e164(number) else digits


def sender_id(text: str, marks: str = " ") -> str:
    """Return whom SMS come from: a number, a short code, or a name of up to 11 letters and digits.

    `marks` may stand inside a name as well. Raises ChannelError where it is none of these. That a country takes no
    names (the United States and Canada, among others) is for the provider to know and say.
    """
    if _E164.fullmatch(text) or _SHORT_CODE.fullmatch(text) or _is_name(text, marks):
        return text
    if not text:
        remedy = "a number such as +49151… or a name of at most 11 letters"
        raise ChannelError(f"The channel `sms` needs `sender:`, {remedy}.")
    if _DIGITS.fullmatch(text):
        raise ChannelError(f"`sender: {text}` is a number without its country; write it as +49151….")
    blanks = " and blanks" if " " in marks else ""
    raise ChannelError(
        f"`sender: {text!r}` cannot send SMS: a name is at most 11 letters A to Z, digits{blanks}, not digits alone."
    )


def _is_name(text: str, marks: str) -> bool:
    inside = "".join(one for one in text[1:-1] if one not in marks)
    plain = text[:1] + inside + text[-1:]
    return len(text) <= _LONGEST_NAME and plain.isascii() and plain.isalnum() and not plain.isdigit()

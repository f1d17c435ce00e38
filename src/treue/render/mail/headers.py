"""Header values from data, made safe: what a name may hold, one address, RFC 2047 words, RFC 8058 links.

The standard library decodes and re-folds what looks encoded, and so writes line breaks that nobody typed
(CVE-2024-6923 and its kin); no value goes through its folding here. Encoded words themselves are the library's.
"""

from __future__ import annotations

import re
import unicodedata
from email.charset import BASE64, Charset
from functools import lru_cache

from treue.render.problem import Fault

LONGEST_NAME = 70
LONGEST_SUBJECT = 250
_LINE = 76
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_ATOMS = re.compile(r"[A-Za-z0-9 !#$%&'*+/?^_`{|}~-]*")
_URL = re.compile(r"https?://[!#-;=?-~]+")
_MAIL_URL = re.compile(r"mailto:[!#-;=?-~]+")
# What nearly all addresses look like, of which nothing needs looking up; the last name is the group.
_ORDINARY = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,60}[a-z0-9]\.)+([a-z]{2,63})"
)
_SPECIAL = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})
_CHARSET = Charset("utf-8")
_CHARSET.header_encoding = BASE64
# An encoded word has at most 75 characters (RFC 2047, section 2); `=?utf-8?b?` and `?=` take 12 of them.
_WORD_BYTES = 45


def clean(value: str, longest: int) -> str:
    """Return a value without controls, line and paragraph separators, direction marks and `=?`, and not too long.

    Runs of blanks become one. What is cut off ends in an ellipsis.
    """
    if not value.isprintable():  # controls, separators and direction marks are none of them printable
        value = "".join(" " if _is_control(sign) else sign for sign in value if sign not in _BIDI)
    while "=?" in value:
        value = value.replace("=?", "")
    value = " ".join(value.split())
    return value if len(value) <= longest else value[: longest - 1].rstrip() + "…"


def _is_control(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp", "Cn")


def unstructured(value: str, name: str) -> str:
    """Return a Subject's body: plain where it is short ASCII, else encoded words (RFC 2047), folded."""
    return _unstructured(clean(value, LONGEST_SUBJECT), len(name) + 2)


@lru_cache(maxsize=4096)
def _unstructured(value: str, indent: int) -> str:
    if _PLAIN.fullmatch(value) and len(value) + indent <= _LINE:
        return value
    return "\r\n ".join(encoded_words(value, _LINE - indent))


def encoded_words(value: str, first: int = _LINE - 1) -> list[str]:
    """Return a text as encoded words of at most 75 characters each, the first of at most `first`."""
    data = value.encode("utf-8")
    words: list[str] = []
    at = 0
    room = min(_WORD_BYTES, (first - 12) // 4 * 3)
    while at < len(data):
        end = min(at + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        words.append(_CHARSET.header_encode(data[at:end].decode("utf-8")))
        at, room = end, _WORD_BYTES
    return words


def mailbox(name: str, addr: str, header: str) -> str:
    """Return `name <address>` with the name quoted or encoded as it needs; `addr` must come from `address`."""
    shown = _phrase(clean(name, LONGEST_NAME), len(header) + 2)
    if not shown:
        return addr
    last = shown.rsplit("\r\n", 1)[-1]
    indent = len(header) + 2 if "\r\n" not in shown else 0
    glue = " " if indent + len(last) + len(addr) + 3 <= 78 else "\r\n "
    return f"{shown}{glue}<{addr}>"


@lru_cache(maxsize=16384)
def _phrase(name: str, indent: int) -> str:
    if not name or _ATOMS.fullmatch(name):
        return name
    if _PLAIN.fullmatch(name) and len(name) + indent < _LINE:
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "\r\n ".join(encoded_words(name, _LINE - indent))


def address(value: str) -> str:
    """Return the one address that `value` is, its domain in ASCII (IDNA).

    Raises Fault where it is none, more than one, or needs SMTPUTF8 before the @: not every server on the way
    takes that, and what it does then is not ours to find out.
    """
    plain = len(value) <= 254 and _ORDINARY.fullmatch(value)
    return value if plain and plain[1] not in _SPECIAL else _address(value)


@lru_cache(maxsize=16384)
def _address(value: str) -> str:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False, strict=True)
    except (EmailNotValidError, UnicodeError, ValueError) as error:
        raise Fault("bad-address", f"{value[:80]!r} is not one usable address: {error}") from None
    ascii_email = found.ascii_email
    # `=?utf-8?b?…?=@example.com` is a valid local part, and readers decode it to whatever it hides.
    if not ascii_email or not ascii_email.isascii() or len(ascii_email) > 254 or "=?" in ascii_email:
        raise Fault("bad-address", f"{value[:80]!r} is not one usable address.")
    return ascii_email


def unsubscribe(url: str, mailto: str = "") -> str:
    """Return the body of List-Unsubscribe: the link as it is, never folded or encoded inside (RFC 2369, RFC 8058).

    Raises Fault where the link is not plain ASCII or too long for one line (RFC 5322: 998).
    """
    if not _URL.fullmatch(url) or len(url) > 900:
        raise Fault("bad-header", f"{url[:80]!r} cannot be the link of List-Unsubscribe.")
    if not mailto:
        return f"<{url}>"
    if not _MAIL_URL.fullmatch(mailto) or len(mailto) > 900:
        raise Fault("bad-header", f"{mailto[:80]!r} cannot be the address of List-Unsubscribe.")
    return f"<{url}>,\r\n <{mailto}>"


def label(value: str, longest: int = 64) -> str:
    """Return a value as a word for Message-ID, List-Id and Feedback-ID: letters, digits, - and _."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", value).strip("-")[:longest] or "x"

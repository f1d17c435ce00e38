"""Words by which a customer ends SMS: the American carriers', and the German ones.

English: what Twilio, Vonage and the FCC (47 CFR 64.1200(a)(10)) take for a revocation. A word counts only as the
whole message: "end of the week?" is a question, and "STOP" in a sentence may be anything.
"""

from __future__ import annotations

import unicodedata

STOP_WORDS = frozenset(
    {
        "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout",
        "stopp", "abmelden", "abbestellen",
    }
)  # fmt: skip
"""Without blanks, in small letters: `STOP ALL` and `opt-out` are two of them."""

_LONGEST = 40


def is_stop(text: str) -> bool:
    """Whether a customer's SMS says stop, however it is spelt: case, blanks, quotes and punctuation do not matter."""
    if len(text) > _LONGEST:
        return False
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(one for one in plain if one.isalnum()) in STOP_WORDS

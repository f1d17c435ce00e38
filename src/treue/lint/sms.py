"""Rules about SMS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.channel.stop_words import STOP_WORDS
from treue.language.problems import Place, Problem
from treue.lint.rule import LintInput, Rule

if TYPE_CHECKING:
    from treue.lint.data import Data

_WAYS_OUT = {"links.unsubscribe", "links.preferences"}
_ORDINARY = frozenset({"stop", "end", "cancel", "quit", "revoke"})
"""Stop words that are words of ordinary sentences, too: these count where they stand out."""

_WORD = re.compile(r"""(?P<quote>["'“”„‚‘’«»]?)(?P<word>[^\W\d_]+(?:-[^\W\d_]+)?)""")


class SaysNowhereHowToStop(Rule):
    """A marketing SMS that says nowhere how to stop.

    German law (UWG section 7(2) no. 3) wants in each such message a valid address to which one can say stop, for no more
    than the ordinary rate; carriers elsewhere ask for the word. Print `links.unsubscribe`, or write a word by which SMS are
    ended, in capitals or in quotes (`Reply STOP`, `Stop? Antworte "Stopp"`), where your number takes answers.
    """

    code = "T615"
    wrong = "New jazz on the shelves: https://shop.example/new"
    right = "New jazz on the shelves: https://shop.example/new\nReply STOP to end this."

    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield each marketing SMS that names no stop word."""
        for sample in files.texts:
            used = files.renderer.names_used(sample.template, "sms", sample.message.locale)
            marketing = sample.categories - {"transactional"}
            if marketing and not used & _WAYS_OUT and not names_a_stop_word(sample.sparse.text):
                message = "This SMS says nowhere how to stop."
                hint = "Print `{{ links.unsubscribe }}`, or write `STOP` and where to."
                yield Problem(Place(sample.message.file, 1, 1), self.code, message, hint)


def names_a_stop_word(text: str) -> bool:
    """Whether a text tells a word by which SMS are ended: `Reply STOP`, not `a stop on the way`."""
    return any(_tells(found["word"], found["quote"]) for found in _WORD.finditer(text))


def _tells(word: str, quote: str) -> bool:
    plain = word.casefold().replace("-", "")
    return plain in STOP_WORDS and (plain not in _ORDINARY or word.isupper() or bool(quote))

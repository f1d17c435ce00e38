"""Which SMS of a customer say stop."""

from __future__ import annotations

import pytest

from treue.channel.stop_words import STOP_WORDS, is_stop


@pytest.mark.parametrize(
    "word",
    ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "STOPP", "ABMELDEN"],
)
@pytest.mark.parametrize("spelt", ["{}", " {}\r\n", "{}!", "{}.", "„{}“", "  {} !!", "*{}*", "{}\u00a0"])
def test_a_stop_word_is_one_however_it_is_spelt(word: str, spelt: str) -> None:
    for text in (word, word.lower(), word.title()):
        assert is_stop(spelt.format(text))


@pytest.mark.parametrize("text", ["STOP ALL", "opt out", "Opt-Out", "Stop 🛑", "ＳＴＯＰ", "stop?"])
def test_a_stop_word_in_two_or_in_wide_letters_is_one(text: str) -> None:
    assert is_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "!", "START", "YES", "HELP", "HILFE", "please stop", "Stop it", "stop 2", "stops", "nonstop",
        "end of the week?", "Stop. Wie spät ist es?", "Ende", "abmelden bitte nicht", "stop" * 100, "s" * 100_000,
    ],
)  # fmt: skip
def test_anything_else_is_not(text: str) -> None:
    assert not is_stop(text)


def test_the_words_are_written_as_they_are_looked_up() -> None:
    assert all(is_stop(word) for word in STOP_WORDS)

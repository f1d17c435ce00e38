"""`tag` keeps Treue's contract of a step: read, kept, and played on a few customers."""

from __future__ import annotations

from typing import ClassVar

import pytest
from treue_tag.word import WORD

from treue.language.words import Word
from treue.testing.word_contract import StepContract


class TestTag(StepContract):
    """What the contract needs to know of it."""

    attributes: ClassVar = {"tags": "list"}

    @pytest.fixture
    def word(self) -> Word:
        """The word."""
        return WORD

    def another(self) -> str:
        """A step that gives another tag."""
        return "{tag: at-home}"

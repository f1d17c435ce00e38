"""Every condition there is, also of an installed package, is known to the oracles."""

from __future__ import annotations

import pytest

from tests.differential import asking
from tests.segments import naive
from treue.language.conditions import JOINING
from treue.language.words import Word
from treue.segments.needs import leaves
from treue.testing.word_samples import Files, object_of, samples_of
from treue.vocabulary.registry import WORDS

FILES = Files({"points": "number", "tags": "list"})
CONDITIONS = [word for word in WORDS.words if word.sort == "condition" and word.classes]


@pytest.mark.parametrize("word", CONDITIONS, ids=lambda word: next(iter(word.rows)))
def test_the_oracles_know_what_it_means(word: Word) -> None:
    found = [object_of("condition", FILES.read("condition", one).whole()) for one in samples_of(word)]
    assert word is JOINING or {*word.rows} <= {*asking.meanings()}
    assert {leaf.kind for condition in found for leaf in leaves(condition)} <= {*naive.meanings()}

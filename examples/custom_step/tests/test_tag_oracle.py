"""What `tag` means for ONE customer, against what the engine does with all of them in random worlds.

The worlds are those of Treue's own tests: a checkout, which is on the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from treue.store.store import Store

oracles = pytest.importorskip(
    "tests.vocabulary.oracles", reason="the random worlds lie in a checkout of Treue"
)

TAGS = ("vip", "at-home", "third")


def tagged(life: Any, stay: Any, step: Any, _now: Any) -> None:
    """The tag comes behind those the customer has, unless it is one of them."""
    tags = life.customer.attributes.get("tags", [])
    if step.says["tag"] not in tags:
        life.customer.attributes["tags"] = [*tags, step.says["tag"]]
    stay.go(step.to)


ORACLE = oracles.StepOracle(
    "tag",
    tagged,
    lambda making: {"tag": making.pick(TAGS)},
    {"tags": ("list", lambda making: making.rng.sample(TAGS, making.rng.randint(1, 2)))},
)
oracles.register(ORACLE)

CUSTOMERS, WORLDS = 20, 4


def worlds() -> Iterator[Any]:
    """Yield the first worlds in which some step gives a tag."""
    from tests.differential.generator import case

    made = (case(seed, CUSTOMERS) for seed in count())
    return islice((one for one in made if "'tag': '" in str(one.acts)), WORLDS)


def test_the_engine_and_the_oracle_tell_the_same_story(store: Store) -> None:
    """Of every customer, down to the attributes."""
    from tests.differential.shrinking import disagreements, report, shrink

    for made in worlds():
        if disagreements(made, store):
            pytest.fail(report(shrink(made, store), store), pytrace=False)


def test_a_wrong_oracle_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the worlds above say something."""
    from tests.differential.shrinking import disagreements

    def forgets(_life: Any, stay: Any, step: Any, _now: Any) -> None:
        stay.go(step.to)

    monkeypatch.setattr(oracles, "_REGISTERED", [replace(ORACLE, done=forgets)])
    assert any(disagreements(made, store) for made in worlds())

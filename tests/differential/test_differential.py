"""The engine on both databases and the interpreter, which was written from the language's page, tell one story.

A case is one customer's life among one set of journeys. `TREUE_TORTURE` says how many cases instead of the few that
every run has; `TREUE_SEED` names one world to look at again. A seed in a failure's text is a bug report: see
CONTRIBUTING.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.differential.generator import case
from tests.differential.shrinking import disagreements, report, shrink
from treue.store.store import Store

CUSTOMERS = 80
CASES = int(os.environ.get("TREUE_TORTURE") or 160)
SEED = os.environ.get("TREUE_SEED")
SEEDS = [int(SEED)] if SEED else range(-(-CASES // CUSTOMERS))
CHUNKS = min(8, len(SEEDS))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that worlds are lived through on, one after the other; SQLite's lies in memory."""
    if request.param == "sqlite":
        store = Store.open("sqlite://", create=True)
    else:
        store = Store.open(request.getfixturevalue("postgres_url"))
    yield store
    store.close()


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_engine_and_the_interpreter_tell_the_same_story(world: Store, chunk: int) -> None:
    for seed in SEEDS[chunk::CHUNKS]:
        made = case(seed, CUSTOMERS)
        if disagreements(made, world):
            pytest.fail(report(shrink(made, world), world), pytrace=False)


def test_a_disagreement_is_noticed_and_made_small(world: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.differential.interpreter import Life

    def forgets(life: Life, stay: object, step: object, now: object) -> None:
        stay.go(step.to)  # type: ignore[attr-defined]

    monkeypatch.setattr(Life, "do_set", forgets)
    seed = next(n for n in range(200) if disagreements(case(n, 12), world))
    told = report(shrink(case(seed, 12), world, budget=60), world)
    assert f"seed {seed}" in told
    assert "set:" in told
    assert "attributes *" in told

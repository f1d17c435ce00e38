"""What the oracles know of words that bring their own meaning.

A condition's or a step's own test, `conditions/test_NAME.py` or `steps/test_NAME.py` beside this, holds it as `ORACLE`;
the test of a word that a package brings registers it. The words that were there before have theirs in
`tests/segments/naive.py` and `tests/differential`. An oracle is written from the page that describes the word, and shares
no code with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Oracle:
    """A condition's meaning for ONE customer.

    `naive` and `leaves` are for `tests/segments`: what the leaf of a `kind` means (of a `Naive`, the leaf and a
    `Person`), and how hypothesis makes such leaves (told whether they may look at a stay). `asked` and `made` are for
    `tests/differential`: what the mapping with the leading `key` means (of an `Asked` and the mapping), and how a
    generator makes such mappings (told whether it is asked of somebody inside a journey). `needs_trigger` says that such a
    mapping means nothing under another trigger.
    """

    kind: str
    naive: Callable[[Any, Any, Any], bool]
    leaves: Callable[[bool], Any]
    key: str
    asked: Callable[[Any, dict[str, Any]], bool]
    made: Callable[[Any, bool], dict[str, Any]]
    needs_trigger: bool = False


@dataclass(frozen=True)
class StepOracle:
    """A step's meaning for ONE customer, for `tests/differential`.

    `done` does what a step with the leading `key` says to a stay (told the `Life`, the `Stay`, the `Step` and the instant at
    which that takes effect, as `Life.do_set` is); the customer's record says what it said then. `made` makes such steps (told the generator). `attributes` are those it needs, each with
    its type and what makes a value.
    """

    key: str
    done: Callable[[Any, Any, Any, Any], None]
    made: Callable[[Any], dict[str, Any]]
    attributes: Mapping[str, tuple[str, Callable[[Any], Any]]] = field(default_factory=dict)


_REGISTERED: list[Oracle | StepOracle] = []


def register(oracle: Oracle | StepOracle) -> None:
    """Let the oracles know a word of a package. Once for each, and before any world is made."""
    _REGISTERED.append(oracle)


def conditions() -> tuple[Oracle, ...]:
    """Return the oracles of the conditions that bring their own."""
    return tuple(one for one in (*_found("conditions"), *_REGISTERED) if isinstance(one, Oracle))


def steps() -> tuple[StepOracle, ...]:
    """Return the oracles of the steps that bring their own."""
    return tuple(one for one in (*_found("steps"), *_REGISTERED) if isinstance(one, StepOracle))


@cache
def _found(folder: str) -> tuple[Any, ...]:
    """Return the oracles in a folder's tests, by the names of the tests."""
    return tuple(_oracle(path) for path in sorted((HERE / folder).glob("test_*.py")))


def _oracle(path: Path) -> Any:
    spec = spec_from_file_location(f"oracle_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "ORACLE", None)

"""A disagreement made small: whatever can be left out of a world while the two still differ is left out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.differential.generator import Act, Case, Person
from tests.differential.harness import Happened, as_yaml, empty, run_engine, run_interpreter
from treue.store.store import Store

Wrong = Callable[[Case], bool]
Differ = Callable[[Case, Any], list[tuple[Person, Happened, Happened]]]
"""Returns the customers of whom two stories of a world differ, with both; told what worlds are lived through on."""


def disagreements(case: Case, store: Store) -> list[tuple[Person, Happened, Happened]]:
    """Return the customers of whom the engine and the interpreter tell different stories, with both."""
    empty(store)
    run = run_engine(case, store)
    told = [(p, run.customers[p.key], run_interpreter(case, p, run.passes)) for p in case.people]
    return [one for one in told if one[1] != one[2]]


def shrink(case: Case, store: Any, budget: int = 400, differ: Differ = disagreements) -> Case:
    """Return a smaller world in which they still disagree, trying at most `budget` smaller ones."""
    left = [budget]

    def wrong(smaller: Case) -> bool:
        left[0] -= 1
        try:
            return left[0] >= 0 and bool(differ(smaller, store))
        except (AssertionError, KeyError, ValueError, IndexError):
            return False  # no longer a world that loads

    case = _alone(case, differ(case, store), wrong)
    while left[0] > 0:
        smaller = next((one for one in _smaller(case) if wrong(one)), None)
        if smaller is None or left[0] <= 0:
            break
        case = smaller
    return case


def _alone(case: Case, told: list[tuple[Person, Happened, Happened]], wrong: Wrong) -> Case:
    """Return the world with only one customer of whom they disagree, if that is enough."""
    for person, _, _ in told:
        alone = replace(case, people=[person])
        if wrong(alone):
            return alone
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Yield worlds with one thing less, the biggest things first."""
    for n in range(len(case.people) if len(case.people) > 1 else 0):
        yield replace(case, people=case.people[:n] + case.people[n + 1 :])
    for n in range(1, len(case.acts)):
        yield replace(case, acts=case.acts[:n] + case.acts[n + 1 :])
    for name in case.acts[0].journeys:
        acts = [_without_journey(act, name) for act in case.acts]
        yield replace(case, acts=[act for act in acts if act.name != name])
    for person in case.people:
        for n in range(len(person.timeline)):
            fewer = replace(person, timeline=person.timeline[:n] + person.timeline[n + 1 :])
            yield replace(case, people=[fewer if one is person else one for one in case.people])
        for name in ("consents", "attributes"):
            for key in getattr(person, name):
                rest = {k: v for k, v in getattr(person, name).items() if k != key}
                fewer = replace(person, **{name: rest})
                yield replace(case, people=[fewer if one is person else one for one in case.people])
    for name in ("limits", "quiet_hours"):
        yield from (replace(case, **{name: simpler}) for simpler in _less(getattr(case, name)))
    yield from _simpler_files(case)


def _without_journey(act: Act, name: str) -> Act:
    return replace(act, journeys={key: says for key, says in act.journeys.items() if key != name})


def _simpler_files(case: Case) -> Iterator[Case]:
    for n, act in enumerate(case.acts):
        for name, says in act.journeys.items():
            for simpler in _less(says):
                changed = replace(act, journeys=act.journeys | {name: simpler})
                yield replace(case, acts=[*case.acts[:n], changed, *case.acts[n + 1 :]])
    for name, where in case.segments.items():
        for simpler in _less(where):
            yield replace(case, segments=case.segments | {name: simpler})


def _less(document: Any) -> Iterator[Any]:
    """Yield a document with one key or one entry less, and with a branch in place of the whole step."""
    if isinstance(document, dict):
        for key in document:
            yield {k: v for k, v in document.items() if k != key}
        for key, value in document.items():
            for simpler in _less(value):
                yield document | {key: simpler}
    elif isinstance(document, list):
        for n, item in enumerate(document):
            yield [*document[:n], *document[n + 1 :]]
            for inner in _branches(item):
                yield [*document[:n], *copy.deepcopy(inner), *document[n + 1 :]]
            for simpler in _less(item):
                yield [*document[:n], simpler, *document[n + 1 :]]


def _branches(item: Any) -> Iterator[Any]:
    if not isinstance(item, dict):
        return
    for branch in item.get("choose", ()):
        yield branch.get("steps", branch.get("else"))
    for arm in item.get("split", {}).values():
        yield arm["steps"]
    for word in ("all", "any"):
        if isinstance(item.get(word), list):
            yield item[word]
    if isinstance(item.get("wait"), dict):
        yield from (item["wait"][word] for word in ("then", "otherwise") if word in item["wait"])
    if isinstance(item.get("not"), dict):
        yield [item["not"]]


def report(
    case: Case,
    store: Any,
    differ: Differ = disagreements,
    names: tuple[str, str] = ("engine", "interpreter"),
) -> str:
    """Return a disagreement as a bug report: the seed, the files, the customer's life, and both stories."""
    lines = [
        f"seed {case.seed}, passes {f'every {case.every}' if case.every else 'in time'}, from {case.start} UTC"
    ]
    lines += [f"# segments/{name}.yaml\n{as_yaml({'where': where})}" for name, where in case.segments.items()]
    if case.limits or case.quiet_hours:
        lines.append(f"# treue.yaml\n{as_yaml({'limits': case.limits, 'quiet_hours': case.quiet_hours})}")
    lines.append(f"hold: {case.hold}")
    for act in case.acts:
        lines.append(f"-- {act.at:%F %T} {act.kind} {act.name}")
        lines += [f"# journeys/{name}.yaml\n{as_yaml(says)}" for name, says in act.journeys.items()]
    for person, one, other in differ(case, store):
        lines.append(
            f"-- {person.key} born {person.born:%F %T} zone {person.zone} consents {person.consents}"
        )
        lines.append(f"   {person.addresses} {person.attributes}")
        lines += [f"   {entry.at:%F %T} {entry.kind} {entry.data}" for entry in person.timeline]
        lines += _told(names[0], one, other) + _told(names[1], other, one)
    return "\n".join(lines)


def _told(who: str, mine: Happened, other: Happened) -> list[str]:
    lines = [f"{who}:"]
    for key, value in mine.items():
        if isinstance(value, list):
            lines += [f"  {key}{' ' if one in other[key] else ' *'} {one}" for one in value]
        elif value != other[key]:
            lines.append(f"  {key} * {value}")
    return lines

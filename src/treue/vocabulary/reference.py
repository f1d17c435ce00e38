"""The reference of every key, made from the rows that parse; `docs/reference.md` is this, and a test holds it to it.

Only the built-in words are in it. Given the names of words that installed packages bring, it prints theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from treue.language.calls import CALLS
from treue.language.conditions import OPERATORS
from treue.language.grammar import Key, Kind, Later, Shape
from treue.language.journey import GOAL, JOURNEY
from treue.language.pressure import LIMIT
from treue.language.problems import CODES, WARNINGS
from treue.language.retention import RETENTION
from treue.language.scenario import scenario_shapes
from treue.language.settings import DECLARATION, SEGMENT, SENDER, SETTINGS, SOURCE
from treue.language.triggers import enter_shape
from treue.language.words import Word
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS, Reason
from treue.vocabulary.registry import WORDS, Registry

INTRODUCTION = """# Reference

Made from the table that parses the files; do not edit it by hand (`python -m treue.vocabulary.reference`).
"""


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join([INTRODUCTION, *_sections()]).rstrip() + "\n"


def of_word(name: str) -> str:
    """Return the reference of a word that an installed package brings, as Markdown. Raises KeyError where none does."""
    word = WORDS.brought[name]
    chapters = {
        f"The {word.sort} `{name}`": _shapes(word),
        "In tests": _only_shapes((*word.acts.values(), *word.expectations.values())),
    }
    lines = (line for title, shapes in chapters.items() if shapes for line in _chapter(title, shapes))
    return "\n".join(lines).rstrip() + "\n"


def _shapes(word: Word) -> tuple[Shape, ...]:
    rows = (enter_shape(word.rows),) if word.sort == "trigger" else _only_shapes(word.rows.values())
    return (*rows, *word.parts)


def _only_shapes(kinds: Iterable[Kind]) -> tuple[Shape, ...]:
    return tuple(kind for kind in kinds if isinstance(kind, Shape))


_BUILT_IN = Registry(packages=False)

CHAPTERS = {
    "Settings: `treue.yaml`": (SETTINGS, SENDER, LIMIT, CALLS, DECLARATION, SOURCE, RETENTION),
    "A segment: `segments/NAME.yaml`": (SEGMENT,),
    "A journey: `journeys/NAME.yaml`": (JOURNEY, enter_shape(_BUILT_IN.triggers), GOAL),
    "Steps": (*_only_shapes(_BUILT_IN.steps.values()), *_BUILT_IN.parts["step"]),
    "Conditions": (
        *_only_shapes(_BUILT_IN.conditions.values()),
        *_BUILT_IN.parts["condition"],
    ),
    "Tests: `journeys/NAME.test.yaml`": scenario_shapes(_BUILT_IN.acts, _BUILT_IN.expectations),
}
"""Every shape of the built-in language, by the chapter of the reference it stands in."""

SHAPES = tuple(shape for shapes in CHAPTERS.values() for shape in shapes)


def keys(shape: Shape) -> tuple[Key, ...]:
    """Return the keys of a shape that have an effect today."""
    return tuple(key for key in shape.keys if not isinstance(key.kind, Later))


def _sections() -> Iterator[str]:
    for title, shapes in CHAPTERS.items():
        yield from _chapter(title, shapes)
    yield from _operators()
    yield from _built_in_names()
    yield from _reasons()
    yield from _codes()


def _chapter(title: str, shapes: Iterable[Shape]) -> Iterator[str]:
    yield f"## {title}\n"
    for shape in shapes:
        yield f"### {shape.name[0].upper()}{shape.name[1:]}\n\n{shape.doc}\n"
        yield "| key | holds | meaning | example |\n| --- | --- | --- | --- |"
        yield from (_row(shape, key) for key in keys(shape))
        yield ""


def _row(shape: Shape, key: Key) -> str:
    name = f"`{key.name}`" + (" (required)" if key.required else "")
    return f"| {name} | {key.kind.noun} | {key.doc} | `{shape.example(key.name)}` |"


def _operators() -> Iterator[str]:
    yield "## Comparisons\n\n| comparison | for | meaning |\n| --- | --- | --- |"
    for name, (_, types, doc) in OPERATORS.items():
        yield f"| `{name}` | {', '.join(types)} | {doc} |"
    yield ""


def _built_in_names() -> Iterator[str]:
    yield "## Built-in attributes and events\n"
    yield (
        "Attributes: " + ", ".join(f"`{name}` ({kind})" for name, kind in BUILT_IN_ATTRIBUTES.items()) + ".\n"
    )
    for name, properties in BUILT_IN_EVENTS.items():
        yield f"- `{name}`: " + ", ".join(f"`{prop}` ({kind})" for prop, kind in properties.items())
    yield ""


def _reasons() -> Iterator[str]:
    yield "## Why a message was not sent\n\n| reason | meaning |\n| --- | --- |"
    yield from (f"| `{reason.value}` | {reason.sentence} |" for reason in Reason)
    yield ""


def _codes() -> Iterator[str]:
    yield "## Codes of problems\n\n| code | what is wrong |\n| --- | --- |"
    for code, title in CODES.items():
        yield f"| {code} | {title}{' (a warning)' if code in WARNINGS else ''} |"


if __name__ == "__main__":
    print("\n".join(map(of_word, sys.argv[1:])) or reference(), end="")

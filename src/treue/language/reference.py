"""The reference of every key, made from the rows that parse; `docs/reference.md` is this, and a test holds it to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from treue.language.calls import CALLS
from treue.language.conditions import CONDITIONS, OPERATORS
from treue.language.examples import example
from treue.language.grammar import Key, Kind, Later, Shape
from treue.language.journey import ARM, ELSE, GOAL, IF, JOURNEY, STEPS, UNTIL_DATE, WAIT_FOR, WAIT_UNTIL
from treue.language.pressure import LIMIT
from treue.language.problems import CODES, WARNINGS
from treue.language.scenario import SCENARIO_SHAPES
from treue.language.settings import SEGMENT, SENDER, SETTINGS, SOURCE
from treue.language.triggers import ENTER
from treue.model.states import BUILT_IN_ATTRIBUTES, BUILT_IN_EVENTS, Reason

INTRODUCTION = """# Reference

Made from the table that parses the files; do not edit it by hand (`python -m treue.language.reference`).
"""


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join([INTRODUCTION, *_sections()]).rstrip() + "\n"


def _only_shapes(kinds: Iterable[Kind]) -> tuple[Shape, ...]:
    return tuple(kind for kind in kinds if isinstance(kind, Shape))


CHAPTERS = {
    "Settings: `treue.yaml`": (SETTINGS, SENDER, LIMIT, CALLS, SOURCE),
    "A segment: `segments/NAME.yaml`": (SEGMENT,),
    "A journey: `journeys/NAME.yaml`": (JOURNEY, ENTER, GOAL),
    "Steps": (*_only_shapes(STEPS.values()), WAIT_UNTIL, UNTIL_DATE, WAIT_FOR, IF, ELSE, ARM),
    "Conditions": _only_shapes(CONDITIONS.values()),
    "Tests: `journeys/NAME.test.yaml`": _only_shapes(SCENARIO_SHAPES),
}
"""Every shape of the language, by the chapter of the reference it stands in."""

SHAPES = tuple(shape for shapes in CHAPTERS.values() for shape in shapes)


def keys(shape: Shape) -> tuple[Key, ...]:
    """Return the keys of a shape that have an effect today."""
    return tuple(key for key in shape.keys if not isinstance(key.kind, Later))


def _sections() -> Iterator[str]:
    for title, shapes in CHAPTERS.items():
        yield from _chapter(title, shapes)
    yield from _operators()
    yield from _built_in()
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
    return f"| {name} | {key.kind.noun} | {key.doc} | `{example(shape.name, key.name)}` |"


def _operators() -> Iterator[str]:
    yield "## Comparisons\n\n| comparison | for | meaning |\n| --- | --- | --- |"
    for name, (_, types, doc) in OPERATORS.items():
        yield f"| `{name}` | {', '.join(types)} | {doc} |"
    yield ""


def _built_in() -> Iterator[str]:
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
    print(reference(), end="")

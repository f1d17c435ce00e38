"""A plan as a picture: boxes and arrows, written as Mermaid or as Graphviz's DOT, with counts where there are any."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from treue.plan import explain
from treue.plan.stages import Plan, Stage

ENTER, END, GOAL, HOLDOUT = "enter", "end", "goal", "holdout"
_WIDTH = 34
_LABEL_WIDTH = 26


@dataclass(frozen=True)
class Counts:
    """How many customers: in all, by the step they stand at, and how they left."""

    entered: int = 0
    inside: Mapping[str, int] = field(default_factory=dict)
    finished: int = 0
    converted: int = 0
    exited: Mapping[str, int] = field(default_factory=dict)
    held_out: int = 0


@dataclass(frozen=True)
class Box:
    """One box: its key, its kind (a stage's, or enter, exit, goal, holdout, end), what it says, and a count."""

    key: str
    kind: str
    title: str
    text: tuple[str, ...] = ()
    count: str = ""


@dataclass(frozen=True)
class Arrow:
    """An arrow between boxes, under a label."""

    start: str
    to: str
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """A journey drawn: the way customers walk, and beside it what may happen to them anywhere."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    beside: tuple[Box, ...]


def picture(plan: Plan, counts: Counts | None = None) -> Picture:
    """Return the picture of a plan."""
    tell = _teller(counts)
    boxes = [
        Box(
            ENTER,
            "enter",
            explain.trigger(plan.entry),
            tuple(explain.admission(plan.entry)),
            tell("entered", counts and counts.entered),
        )
    ]
    for stage in plan.stages:
        passed = (f"if {explain.words(stage.when)}",) if stage.when is not None else ()
        inside = counts.inside.get(stage.id, 0) if counts else None
        said = (explain.what(stage),) if _named(stage) else ()
        title = stage.id if said else explain.what(stage)
        boxes.append(Box(stage.id, stage.kind, title, (*said, *passed), tell("here", inside or None)))
    boxes.append(Box(END, "end", "finished", count=tell("", counts and counts.finished)))
    return Picture(plan.journey, tuple(boxes), tuple(_arrows(plan)), tuple(_beside(plan, counts)))


def _teller(counts: Counts | None) -> Callable[[str, int | None], str]:
    def tell(word: str, number: int | None) -> str:
        return f"{number:,} {word}".strip() if counts is not None and number is not None else ""

    return tell


def _named(stage: Stage) -> bool:
    """Whether a person gave the step its id; else it is its path in the file, and no title."""
    return "." not in stage.id


def _arrows(plan: Plan) -> Iterator[Arrow]:
    yield Arrow(ENTER, plan.first or END)
    for stage in plan.stages:
        for lead in explain.leads(stage):
            yield Arrow(stage.id, lead.to or END, lead.label)


def _beside(plan: Plan, counts: Counts | None) -> Iterator[Box]:
    tell = _teller(counts)
    if plan.goal:
        yield Box(
            GOAL, "goal", "goal", (explain.goal(plan.goal),), tell("converted", counts and counts.converted)
        )
    for n, reason in enumerate(plan.exits):
        left = counts.exited.get(reason.name, 0) if counts else None
        yield Box(f"exit-{n}", "exit", "exit", (explain.leaving(reason),), tell("left", left))
    if plan.holdout:
        text = (f"{explain.share(plan.holdout)} walk the same way and are sent nothing",)
        yield Box(HOLDOUT, "holdout", "holdout", text, tell("held out", counts and counts.held_out))


# --- Mermaid ------------------------------------------------------------------------------------------------

_SHAPES = {
    "enter": ("([", "])"),
    "end": ("([", "])"),
    "choose": ("{{", "}}"),
    "split": ("{{", "}}"),
    "goal": ("([", "])"),
    "exit": ("([", "])"),
    "stop": ("([", "])"),
}


def mermaid(shown: Picture) -> str:
    """Return the picture as a Mermaid flowchart, which GitHub and many editors draw by themselves."""
    names = {box.key: f"n{n}" for n, box in enumerate((*shown.boxes, *shown.beside))}
    lines = ["flowchart TD"]
    for box in (*shown.boxes, *shown.beside):
        before, after = _SHAPES.get(box.kind, ("[", "]"))
        lines.append(f"  {names[box.key]}{before}{_mermaid_text(_lines(box))}{after}")
    for arrow in shown.arrows:
        label = f"|{_mermaid_text(_wrapped(arrow.label, _LABEL_WIDTH))}|" if arrow.label else ""
        lines.append(f"  {names[arrow.start]} -->{label} {names[arrow.to]}")
    for box in shown.beside:
        lines.append(f"  {names[ENTER]} -.- {names[box.key]}")
    return "\n".join(lines) + "\n"


def _mermaid_text(lines: Iterable[str]) -> str:
    written = "<br/>".join(escape(line, quote=False) for line in lines)
    return '"' + written.replace('"', "#quot;") + '"'


# --- DOT ----------------------------------------------------------------------------------------------------

_DOT = """\
digraph {{
graph [bgcolor=transparent, rankdir=TB, nodesep=0.35, ranksep=0.42, pad=0.25, fontname="Arial"]
node [shape=box, style="rounded,filled", margin="0.18,0.11", fontname="Arial", fontsize=11]
edge [fontname="Arial", fontsize=10, arrowsize=0.7]
{body}
}}
"""


def dot(shown: Picture) -> str:
    """Return the picture as Graphviz's DOT. Colours are left to the classes of boxes and arrows."""
    names = {box.key: f"n{n}" for n, box in enumerate((*shown.boxes, *shown.beside))}
    lines = [f"{names[box.key]} [class={box.kind}, label={_dot_label(box)}]" for box in shown.boxes]
    for arrow in shown.arrows:
        label = f", label=<{_dot_lines(_wrapped(arrow.label, _LABEL_WIDTH))}>" if arrow.label else ""
        kind = "passed" if arrow.label == "skipped" else "way"
        lines.append(f"{names[arrow.start]} -> {names[arrow.to]} [class={kind}{label}]")
    if shown.beside:
        lines += _dot_beside(shown, names)
    return _DOT.format(body="\n".join(lines))


def _dot_beside(shown: Picture, names: Mapping[str, str]) -> Iterator[str]:
    for box in shown.beside:
        yield f"{names[box.key]} [class={box.kind}, label={_dot_label(box)}]"
    column = [names[box.key] for box in shown.beside]
    yield f"subgraph {{ rank=same {names[ENTER]} {column[0]} }}"
    yield f"{names[ENTER]} -> {column[0]} [class=beside, style=dotted, arrowhead=none]"
    for above, below in pairwise(column):
        yield f"{above} -> {below} [class=beside, style=dotted, arrowhead=none]"


def _dot_label(box: Box) -> str:
    title, *text = _lines(box)
    rows = [f"<B>{escape(title)}</B>", *(escape(line) for line in text)]
    if box.count:
        rows[-1] = f"<I>{rows[-1]}</I>"
    return "<" + "<BR/>".join(rows) + ">"


def _dot_lines(lines: Iterable[str]) -> str:
    return "<BR/>".join(escape(line) for line in lines)


def _lines(box: Box) -> list[str]:
    lines = _wrapped(box.title, _WIDTH)
    for text in box.text:
        lines += _wrapped(text, _WIDTH)
    return [*lines, *([box.count] if box.count else [])]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [text]

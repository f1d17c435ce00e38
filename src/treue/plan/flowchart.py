"""A plan as a flowchart: boxes and arrows, written as Mermaid or as Graphviz's DOT, with counts where there are any."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from treue.language.steps import Stage
from treue.plan import explain
from treue.plan.plan import Plan

ENTER, END, GOAL, EXIT, HOLDOUT = "> enter", "> end", "> goal", "> exit", "> holdout"
"""Keys of the boxes that are no stages; no step's id looks like these."""

_WIDTH = 34
_LABEL_WIDTH = 26


@dataclass(frozen=True)
class Counts:
    """How many customers entered, are at each step, went on by each way, and left.

    `gone` is by step and way (see explain.Lead); whoever is held out is only in `entered` and `held_out`.
    `shares` are what the ways of learning splits get at present, by step.
    """

    entered: int = 0
    inside: Mapping[str, int] = field(default_factory=dict)
    finished: int = 0
    converted: int = 0
    exited: Mapping[str, int] = field(default_factory=dict)
    held_out: int = 0
    gone: Mapping[tuple[str, str], int] = field(default_factory=dict)
    shares: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


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
    """An arrow between two boxes, with its label and how many went along it."""

    start: str
    to: str
    label: str = ""
    count: str = ""


@dataclass(frozen=True)
class Flowchart:
    """A drawn journey: the way customers walk in `boxes` and `arrows`, and `beside` it what may happen anywhere."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    beside: tuple[Box, ...]


def flowchart(plan: Plan, counts: Counts | None = None) -> Flowchart:
    """Draw a plan: its stages as boxes, their ways as arrows, and beside them goal, exits and holdout."""
    admission = tuple(explain.admission(plan.entry))
    boxes = (
        Box(ENTER, "enter", plan.entry.trigger.words(), admission, _count_text(counts, "entered")),
        *(_stage(stage, counts) for stage in plan.stages),
        Box(END, "end", "finished", count=_count_text(counts, "finished", "")),
    )
    return Flowchart(plan.journey, boxes, tuple(_arrows(plan, counts)), tuple(_beside(plan, counts)))


def _count_text(counts: Counts | None, name: str, word: str | None = None) -> str:
    """Return one of the counts with its word, or nothing where nothing is counted."""
    if counts is None:
        return ""
    return f"{getattr(counts, name):,} {name.replace('_', ' ') if word is None else word}".strip()


def _stage(stage: Stage, counts: Counts | None) -> Box:
    # An id with a dot is the step's path in the file, which nobody reads as a title.
    title = stage.words() if "." in stage.id else stage.id
    said = () if "." in stage.id else (stage.words(),)
    passed = (f"if {stage.when.words()}",) if stage.when is not None else ()
    inside = counts.inside.get(stage.id, 0) if counts else 0
    kind = stage.kind.partition("_")[0]  # all waits look alike
    return Box(stage.id, kind, title, (*said, *passed), f"{inside:,} here" if inside else "")


def _arrows(plan: Plan, counts: Counts | None) -> Iterator[Arrow]:
    walking = f"{counts.entered - counts.held_out:,}" if counts else ""
    yield Arrow(ENTER, plan.first or END, count=walking)
    for stage in plan.stages:
        for lead in stage.leads(counts.shares.get(stage.id, ()) if counts else ()):
            gone = counts.gone.get((stage.id, lead.way), 0) if counts else 0
            yield Arrow(stage.id, lead.to or END, lead.label, f"{gone:,}" if gone else "")


def _beside(plan: Plan, counts: Counts | None) -> Iterator[Box]:
    if plan.goal:
        yield Box(GOAL, "goal", "goal", (explain.goal(plan.goal),), _count_text(counts, "converted"))
    for n, reason in enumerate(plan.exits):
        left = f"{counts.exited.get(reason.name, 0):,} left" if counts else ""
        yield Box(f"{EXIT} {n}", "exit", "exit", (explain.leaving(reason),), left)
    if plan.holdout:
        text = f"{explain.share(plan.holdout)} walk the same way and are sent nothing"
        yield Box(HOLDOUT, "holdout", "holdout", (text,), _count_text(counts, "held_out"))


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


def mermaid(chart: Flowchart) -> str:
    """Write the flowchart as Mermaid, which GitHub and many editors draw by themselves."""
    names = {box.key: f"n{n}" for n, box in enumerate((*chart.boxes, *chart.beside))}
    lines = ["flowchart TD"]
    lines += [f"  {names[box.key]}{_mermaid_box(box)}" for box in (*chart.boxes, *chart.beside)]
    for arrow in chart.arrows:
        told = _arrow_lines(arrow)
        label = f"|{_mermaid_text(told)}|" if told else ""
        lines.append(f"  {names[arrow.start]} -->{label} {names[arrow.to]}")
    lines += [f"  {names[ENTER]} -.- {names[box.key]}" for box in chart.beside]
    return "\n".join(lines) + "\n"


def _mermaid_box(box: Box) -> str:
    before, after = _SHAPES.get(box.kind, ("[", "]"))
    return before + _mermaid_text(_lines(box)) + after


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


def dot(chart: Flowchart) -> str:
    """Write the flowchart as Graphviz's DOT. Colours are left to the classes of boxes and arrows."""
    names = {box.key: f"n{n}" for n, box in enumerate((*chart.boxes, *chart.beside))}
    lines = [f"{names[box.key]} [class={box.kind}, label={_dot_label(box)}]" for box in chart.boxes]
    lines += [_dot_arrow(arrow, names) for arrow in chart.arrows]
    if chart.beside:
        lines += _dot_beside(chart, names)
    return _DOT.format(body="\n".join(lines))


def _dot_arrow(arrow: Arrow, names: Mapping[str, str]) -> str:
    told = _arrow_lines(arrow)
    label = f", label=<{_dot_lines(told)}>" if told else ""
    kind = "passed" if arrow.label == "skipped" else "way"
    return f"{names[arrow.start]} -> {names[arrow.to]} [class={kind}{label}]"


def _dot_beside(chart: Flowchart, names: Mapping[str, str]) -> Iterator[str]:
    for box in chart.beside:
        yield f"{names[box.key]} [class={box.kind}, label={_dot_label(box)}]"
    column = [names[box.key] for box in chart.beside]
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
    """Return an arrow's lines, a little away from the arrow itself."""
    return "<BR/>".join(f"&#160;{escape(line)}" for line in lines)


def _arrow_lines(arrow: Arrow) -> list[str]:
    label = _wrapped(arrow.label, _LABEL_WIDTH) if arrow.label else []
    return [*label, *([arrow.count] if arrow.count else [])]


def _lines(box: Box) -> list[str]:
    lines = _wrapped(box.title, _WIDTH)
    for text in box.text:
        lines += _wrapped(text, _WIDTH)
    return [*lines, *([box.count] if box.count else [])]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [text]

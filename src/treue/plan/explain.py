"""A plan in words: who enters, what each stage does, where it leads. What commands and pictures say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from treue.clock import Duration
from treue.plan.stages import (
    Call,
    Choose,
    Emit,
    Entry,
    Exit,
    Goal,
    OnDate,
    Plan,
    Send,
    Set,
    Split,
    Stage,
    Start,
    Stop,
    Wait,
    WaitDate,
    WaitFor,
    WaitUntil,
)
from treue.segments.tree import Property
from treue.segments.words import wanted, words

ONE_DAY = Duration(days=1)
END = "end"
"""What the end of a journey is called where a stage's id would stand."""


@dataclass(frozen=True)
class Lead:
    """One way on from a stage: under what label (a condition, a share), and to which stage (None: the end).

    `way` is its name in the trace: a branch's or an arm's, `none`, `skipped`, or empty for the only way on.
    """

    label: str
    to: str | None
    way: str = ""


def category(plan: Plan) -> str:
    """Return what a journey's messages are for, and on what legal ground."""
    return f"{plan.category}, by {plan.basis.replace('_', ' ')}" if plan.basis else plan.category


def trigger(entry: Entry) -> str:
    """Return what brings customers in, in a few words."""
    if entry.event:
        return entry.event + _where(entry.where)
    if entry.date:
        return _on_date(entry.date)
    if entry.schedule:
        return f"everyone in segment {entry.segment_name}, at {entry.schedule}"
    return f"joins segment {entry.segment_name}" if entry.segment_name else "by hand: treue enroll, or HTTP"


def _on_date(date: OnDate) -> str:
    named = f"{_moved(date.before, date.after)}{date.attribute} at {date.at}"
    return f"every year, {named}" if date.yearly else named


def _moved(before: Duration | None, after: Duration | None) -> str:
    return f"{before} before " if before else f"{after} after " if after else ""


def admission(entry: Entry) -> Iterator[str]:
    """Yield who of them is let in, and how often."""
    if entry.when is not None:
        yield f"if {words(entry.when)}"
    per = "occurrence" if entry.date else entry.per
    if entry.again is None:
        yield f"once for each {per}" if per else "once"
    else:
        yield f"again {entry.again} after leaving" if entry.again else "again and again"
        if per:
            yield f"for each {per}"


def goal(aim: Goal) -> str:
    """Return what counts as success."""
    return aim.event + _where(aim.where) + (f" within {aim.within}" if aim.within else " while inside")


def leaving(reason: Exit) -> str:
    """Return what makes customers leave at once."""
    if reason.condition is not None:
        return words(reason.condition)
    same = f" with the same {reason.same.name}" if reason.same else ""
    return f"{reason.event}{_where(reason.where)}{same}"


def share(holdout: int) -> str:
    """Return a holdout, kept in hundredths of a percent, as people write it."""
    return f"{holdout / 100:g}%"


def what(stage: Stage) -> str:
    """Return what a stage does, in a few words."""
    match stage:
        case Send():
            stale = "" if stage.valid_for == ONE_DAY else f", within {stage.valid_for}"
            return f"send {stage.template} on {_channels(stage)}{stale}"
        case Wait():
            return f"wait {stage.duration}"
        case WaitUntil():
            return f"wait until {stage.at}" + (f" on {', '.join(stage.days)}" if stage.days else "")
        case WaitDate():
            return f"wait until {_moved(stage.before, stage.after)}{stage.attribute}"
        case WaitFor():
            return f"wait for {words(stage.condition)}, at most {stage.at_most}"
        case Choose():
            return "choose"
        case Split():
            return f"split, learning what is {stage.learn}" if stage.learn else "split"
        case Set():
            return "set " + ", ".join(f"{name} = {value}" for name, value in stage.values)
        case Emit():
            return f"emit {stage.event}"
        case Call():
            return f"call {stage.method} {stage.url}"
        case Start():
            return f"start {stage.journey}"
        case Stop():
            return "stop"
    raise AssertionError(stage)


def leads(stage: Stage, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
    """Return where a stage leads, in order; what a stage is passed by for (its `if`) included.

    `shares` are what a learning split's ways get at present, where that is known.
    """
    match stage:
        case Choose():
            ways = tuple(
                Lead(words(w.condition) if w.condition else "else", w.to, w.name) for w in stage.ways
            )
            closed = stage.ways and stage.ways[-1].condition is None
            return _with_pass((*ways, *(() if closed else (Lead("none of these", stage.to, "none"),))), stage)
        case Split():
            if stage.learn and not shares:
                return _with_pass(tuple(Lead(way.name, way.to, way.name) for way in stage.ways), stage)
            parts = shares or [way.weight for way in stage.ways]
            told = [
                f"{way.name}: {part / sum(parts):.0%}" for way, part in zip(stage.ways, parts, strict=True)
            ]
            return _with_pass(
                tuple(Lead(label, way.to, way.name) for label, way in zip(told, stage.ways, strict=True)),
                stage,
            )
        case WaitFor():
            held = Lead("then", stage.then)
            return _with_pass((held, Lead(f"otherwise, after {stage.at_most}", stage.otherwise)), stage)
        case Stop():
            return _with_pass((Lead("", None),), stage)
    return (Lead("", stage.to),)


def tasks(plan: Plan) -> list[str]:
    """Return the names of the tasks of one pass over this journey, in order."""
    return ["enter", *(stage.id for stage in plan.stages), "deliver"]


def _with_pass(found: tuple[Lead, ...], stage: Stage) -> tuple[Lead, ...]:
    return (*found, Lead("skipped", stage.to, "skipped")) if stage.when is not None else found


def _channels(stage: Send) -> str:
    link = " and " if stage.all_channels else ", else "
    return link.join(stage.channels)


def _where(where: Iterable[Property]) -> str:
    told = " and ".join(f"{one.name} {wanted(one.ops)}" for one in where)
    return f" where {told}" if told else ""

"""A journey's file to its plan: steps become stages, branches become ways that lead to stages."""

from __future__ import annotations

from collections.abc import Callable

from treue.language import journey as language
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
    Way,
)

CategoryOf = Callable[[str, str], str | None]


def _no_category(_template: str, _channel: str) -> str | None:
    return None


def build(journey: language.Journey, category_of: CategoryOf = _no_category) -> Plan:
    """Return the plan of a journey. `category_of(template, channel)` is what a template's front matter says."""
    enter, goal = journey.enter, journey.goal
    return Plan(
        journey.name,
        journey.category,
        journey.basis,
        journey.priority,
        Entry(
            enter.event,
            enter.where,
            enter.segment,
            enter.segment_name,
            enter.schedule,
            enter.manual,
            enter.when,
            enter.again,
            enter.per,
            OnDate(**vars(enter.date)) if enter.date else None,
            enter.each_run,
        ),
        tuple(Exit(one.name, one.event, one.where, one.condition, one.same) for one in journey.exits),
        Goal(goal.event, goal.where, goal.within) if goal else None,
        journey.holdout,
        journey.in_flight,
        tuple(_Flattening(journey.category, category_of).steps(journey.steps, "steps", None)),
        tuple((one.old, one.new) for one in journey.moved),
    )


class _Flattening:
    def __init__(self, category: str, category_of: CategoryOf) -> None:
        self.category, self.category_of = category, category_of

    def steps(self, steps: tuple[language.Step, ...], path: str, after: str | None) -> list[Stage]:
        ids = [step.id or f"{path}.{n}" for n, step in enumerate(steps)]
        stages: list[Stage] = []
        for n, step in enumerate(steps):
            to = ids[n + 1] if n + 1 < len(ids) else after
            stages += self.step(step, ids[n], f"{path}.{n}", to)
        return stages

    def step(self, step: language.Step, id_: str, path: str, to: str | None) -> list[Stage]:
        line, when = step.place.line, step.when
        match step:
            case language.Send():
                categories = tuple(self.category_of(step.template, c) or self.category for c in step.channels)
                return [
                    Send(
                        id_,
                        line,
                        when,
                        to,
                        step.template,
                        step.channels,
                        step.all_channels,
                        step.valid_for,
                        step.sender,
                        step.data,
                        categories,
                    )
                ]
            case language.Wait():
                return [Wait(id_, line, when, to, step.duration)]
            case language.WaitUntil():
                return [WaitUntil(id_, line, when, to, step.at, step.days)]
            case language.WaitDate():
                return [WaitDate(id_, line, when, to, step.attribute, step.type, step.before, step.after)]
            case language.WaitFor():
                return self.wait_for(step, id_, path, to)
            case language.Choose():
                return self.choose(step, id_, path, to)
            case language.Split():
                return self.split(step, id_, path, to)
            case language.Set():
                return [Set(id_, line, when, to, step.values)]
            case language.Emit():
                return [Emit(id_, line, when, to, step.event, step.data)]
            case language.Call():
                return [
                    Call(
                        id_,
                        line,
                        when,
                        to,
                        step.url,
                        step.method,
                        step.json,
                        step.secret,
                        step.valid_for,
                    )
                ]
            case language.Start():
                return [Start(id_, line, when, to, step.journey)]
            case language.Stop():
                return [Stop(id_, line, when, to)]
        raise AssertionError(step)

    def wait_for(self, step: language.WaitFor, id_: str, path: str, to: str | None) -> list[Stage]:
        then = self.steps(step.then, f"{path}.wait.then", to)
        otherwise = self.steps(step.otherwise, f"{path}.wait.otherwise", to)
        ways = (then[0].id if then else to, otherwise[0].id if otherwise else to)
        waiting = WaitFor(id_, step.place.line, step.when, to, step.condition, step.at_most, *ways)
        return [waiting, *then, *otherwise]

    def choose(self, step: language.Choose, id_: str, path: str, to: str | None) -> list[Stage]:
        ways, inner = [], []
        for n, branch in enumerate(step.branches):
            below = f"{path}.choose.{n}.{'steps' if branch.condition is not None else 'else'}"
            stages = self.steps(branch.steps, below, to)
            ways.append(
                Way(
                    str(n) if branch.condition is not None else "else",
                    stages[0].id if stages else to,
                    branch.condition,
                )
            )
            inner += stages
        return [Choose(id_, step.place.line, step.when, to, tuple(ways)), *inner]

    def split(self, step: language.Split, id_: str, path: str, to: str | None) -> list[Stage]:
        ways, inner = [], []
        for arm in step.arms:
            stages = self.steps(arm.steps, f"{path}.split.{arm.name}.steps", to)
            ways.append(Way(arm.name, stages[0].id if stages else to, weight=arm.weight))
            inner += stages
        return [Split(id_, step.place.line, step.when, to, tuple(ways), step.learn), *inner]

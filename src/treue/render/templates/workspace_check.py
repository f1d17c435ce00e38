"""Checks every template of a workspace, each with the events and data of the steps that send it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from treue.language.problems import Place, Problem
from treue.language.steps import OutboxCall, Stage, message_of, walk
from treue.language.triggers import Entry
from treue.render.problem import WARNINGS, TemplateProblem
from treue.render.templates.calls import call_problems
from treue.render.templates.check import check_template, examples
from treue.render.templates.enclosures import Enclosure
from treue.render.templates.expressions import Expression
from treue.render.templates.names import NameSchema
from treue.render.templates.renderer import Rendered, Renderer
from treue.render.templates.template import MessageTemplate
from treue.workspace.workspace import Workspace


class Sends(Protocol):
    """What must be known of a plan to tell whether its steps can write a template."""

    @property
    def entry(self) -> Entry:
        """How customers come in."""

    @property
    def stages(self) -> Sequence[Stage]:
        """Its stages."""


@dataclass
class _Use:
    """How a template is used: the events that start the journeys which send it, their categories, and what steps give."""

    events: dict[str, Mapping[str, str]] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)
    categories: set[str] = field(default_factory=set)


def workspace_renderer(workspace: Workspace, keep: Callable[[Enclosure], None] | None = None) -> Renderer:
    """Return a renderer of the workspace's templates that knows its schema and gives hosted pictures to `keep`."""
    settings = workspace.settings
    return Renderer(
        workspace.root / "templates", locale=settings.locale, timezone=settings.timezone, schema=_names(workspace),
        public_url=settings.public_url.value(), keep=keep,
    )  # fmt: skip


def _names(workspace: Workspace) -> NameSchema:
    schema = workspace.settings.schema
    return NameSchema(
        schema.attributes, schema.events, required=schema.required, required_of=schema.required_of
    )


def template_problems(
    workspace: Workspace, among: Container[str] | None = None, renderer: Renderer | None = None
) -> list[Problem]:
    """Return what is wrong with the workspace's templates (those named in `among`), calls and values, by place."""
    renderer, uses = renderer or workspace_renderer(workspace), _uses(workspace)
    found: set[TemplateProblem] = set()
    for name in workspace.templates:
        if among is None or name in among:
            found.update(_of(renderer, name, uses.get(name)))
    return sorted([*(_problem(one) for one in found), *_of_steps(workspace)])


def can_be_written(workspace: Workspace, renderer: Renderer, template: str, plan: Sends) -> bool:
    """Whether a template, as the files have it, can be written by all steps of a plan that send it, for whoever is inside."""
    events = workspace.settings.schema.events
    started = {name: events.get(name, {}) for name in plan.entry.trigger.events()}
    sent = [stage.message for stage in plan.stages if stage.message and stage.message.template == template]
    for message in sent:
        if not set(message.channels) <= set(renderer.channels(template)):
            return False
        found = check_template(renderer, template, events=started, data=dict(message.data))
        if any(one.code not in WARNINGS for one in found):
            return False
    return True


@dataclass(frozen=True)
class Sample:
    """One message of a template in one language, as made-up customers get it: one with everything, one with little."""

    template: str
    message: MessageTemplate
    categories: frozenset[str]
    full: Rendered
    sparse: Rendered


def samples(workspace: Workspace, renderer: Renderer, name: str, channel: str = "email") -> Iterator[Sample]:
    """Yield each of a template's files for a channel with what becomes of it; one that cannot be rendered has none."""
    use = _uses(workspace).get(name, _Use(data=[{}]))
    own = renderer.category(name, channel)
    categories = frozenset([own] if own else use.categories)
    for sound, locale in renderer.sound(name):
        if sound == channel:
            made = list(
                examples(renderer, name, channel, locale, events=use.events or None, data=use.data[0])
            )
            if made:
                yield Sample(name, renderer.message(name, channel, locale), categories, made[0], made[-1])


def _of_steps(workspace: Workspace) -> Iterator[Problem]:
    schema = _names(workspace)
    for journey in workspace.journeys.values():
        for step in walk(journey.steps):
            call = step.outbox()
            found = list(call_problems(call.url, call.json, schema)) if isinstance(call, OutboxCall) else []
            found += [problem for value in step.templates() for problem in Expression.problems(value, schema)]
            for one in found:
                yield Problem(step.place, one.code, one.message, one.suggestion or None)


def _uses(workspace: Workspace) -> dict[str, _Use]:
    uses: dict[str, _Use] = {}
    events = workspace.settings.schema.events
    for journey in workspace.journeys.values():
        started = {name: events.get(name, {}) for name in journey.enter.trigger.events()}
        for step in walk(journey.steps):
            if message := message_of(step):
                use = uses.setdefault(message.template, _Use())
                use.events.update(started)
                use.categories.add(journey.category)
                if dict(message.data) not in use.data:
                    use.data.append(dict(message.data))
    return uses


def _of(renderer: Renderer, name: str, use: _Use | None) -> Iterator[TemplateProblem]:
    if use is None:
        yield from check_template(renderer, name)
        return
    for data in use.data:
        yield from check_template(renderer, name, events=use.events, data=data)


def _problem(found: TemplateProblem) -> Problem:
    place = Place(found.file, found.line, found.column)
    return Problem(place, found.code, found.message, found.suggestion or None)

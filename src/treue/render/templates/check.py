"""Finds what is wrong with a template before a customer does: every channel and locale, on made-up customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from treue.language.settings import Sender
from treue.render.problem import RenderFailure, TemplateProblem, nearest
from treue.render.sandbox.values import AnyRecord, AnyValue, SampleText
from treue.render.templates import context
from treue.render.templates.renderer import Rendered, Renderer
from treue.render.templates.template import chain

_NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
_SENDER = Sender("Shop", "shop@example.com", "Street 1, Town")
_GIVEN = {"email": "customer.email", "sms": "customer.phone"}
"""A message by this channel goes only to people who have this attribute."""


def check_template(
    renderer: Renderer,
    name: str,
    *,
    events: Mapping[str, Mapping[str, str]] | None = None,
    data: Mapping[str, Any] | None = None,
) -> list[TemplateProblem]:
    """Return all problems of all files of the template `name`, by file, line and column.

    The schema is the renderer's. `events` are the events that start the journeys which send this template, with
    their properties and types; None stands for all that are declared. `data` is what their `send` steps give;
    None where that is not known. Problems with a code of `problem.WARNINGS` do not stop anything.
    """
    found = set(renderer.problems(name))
    for channel, locale in renderer.sound(name):
        found.update(_Check(renderer, name, channel, locale, events, data).problems())
        message = renderer.message(name, channel, locale)
        unread = any(one.code == "T402" and one.file == message.file for one in found)
        if channel == "email" and not unread and not message.fields.get("subject"):
            advice = 'Begin the file with ---, subject: "…" and ---.'
            found.add(TemplateProblem(message.file, 1, 1, "T406", "This e-mail has no subject.", advice))
    found.update(_without_fallback(renderer, name))
    return sorted(found)


def _without_fallback(renderer: Renderer, name: str) -> Iterator[TemplateProblem]:
    for channel in renderer.channels(name):
        locales = renderer.locales(name, channel)
        if not set(chain(renderer.locale)) & set(locales):
            yield TemplateProblem(
                f"templates/{name}", 1, 1, "T404",
                f"Customers whose language is not {' or '.join(locales)} get no {channel} from this template.",
                "Name one file without a locale.",
            )  # fmt: skip


def examples(
    renderer: Renderer,
    name: str,
    channel: str,
    locale: str,
    *,
    events: Mapping[str, Mapping[str, str]] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Iterator[Rendered]:
    """Yield one file's message for a customer who has everything, and for one who lacks whatever it can do without."""
    yield from _Check(renderer, name, channel, locale, events, data).examples()


class _Check:
    """One channel in one locale."""

    def __init__(
        self, renderer: Renderer, name: str, channel: str, locale: str,
        events: Mapping[str, Mapping[str, str]] | None, data: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        self._renderer, self._name, self._channel, self._locale = renderer, name, channel, locale
        self._message = renderer.message(name, channel, locale)
        schema = renderer.schema
        self._attributes = schema.attributes
        declared = events if events is not None else schema.events
        self._properties = (
            None if declared is None else {k: v for one in declared.values() for k, v in one.items()}
        )
        self._promised = _promised(declared or {}, schema.required_of)
        self._data = data
        self._used = renderer.names_used(name, channel, locale)

    def problems(self) -> Iterator[TemplateProblem]:
        foreign = list(self._foreign_properties())
        yield from foreign
        if foreign:
            return
        failure = self._render(frozenset())
        if failure:
            yield self._problem(failure, "T404")
            return
        yield from self._unguarded()

    def _foreign_properties(self) -> Iterator[TemplateProblem]:
        """Properties that another event has, but none that starts these journeys."""
        if self._properties is None or self._renderer.schema.events is None:
            return
        known = {*self._properties, "id", "name", "at"}
        message = self._message
        for name in sorted(one for one in self._used if one.startswith("event.") and one.count(".") == 1):
            word = name.removeprefix("event.")
            if word not in known:
                sources = [*message.fields.values(), message.text, *([message.html] if message.html else [])]
                tags = (tag for source in sources for tag in source.tags)
                tag = next((tag for tag in tags if name in tag.text), None)
                place = (tag.file, *tag.place_of(name)) if tag else (message.file, 1, 1)
                near = nearest(word, known) or f"It has {', '.join(sorted(known))}."
                yield TemplateProblem(
                    *place, "T403", f"The event that starts the journey has no {word!r}.", near
                )

    def examples(self) -> Iterator[Rendered]:
        gone = frozenset(self._optional())
        full, sparse = self._result(frozenset()), self._result(gone)
        while isinstance(sparse, RenderFailure) and (lacking := _lacking(sparse, gone)):
            gone -= {lacking}
            sparse = self._result(gone)
        yield from (one for one in (full, sparse) if isinstance(one, Rendered))

    def _unguarded(self) -> Iterator[TemplateProblem]:
        """Remove every value a customer may lack, put back what breaks the template, and repeat until nothing does."""
        gone = frozenset(self._optional())
        for _ in range(len(gone)):
            failure = self._render(gone)
            if failure is None:
                return
            lacking = _lacking(failure, gone)
            if lacking is None:
                yield self._problem(failure, "T405")
                return
            yield self._problem(failure, "T405")
            gone -= {lacking}

    def _optional(self) -> Iterator[str]:
        given = {"customer.id", "customer.locale", "customer.timezone", "event.id", "event.name", "event.at"}
        given.add(_GIVEN.get(self._channel, ""))
        given.update(f"customer.{name}" for name in self._renderer.schema.required)
        given.update(f"event.{name}" for name in self._promised)
        for name in self._used:
            if name.count(".") == 1 and name.startswith(("customer.", "event.")) and name not in given:
                yield name
        if "orders" in self._used:
            yield "orders"

    def _problem(self, failure: RenderFailure, code: str) -> TemplateProblem:
        message = failure.message
        suggestion = ""
        if failure.code == "missing-value" and ";" in message:
            message, suggestion = message.split("; ", 1)
            message = message.replace("This customer has no", "A customer may have no") + "."
            suggestion = suggestion[:1].upper() + suggestion[1:]
        return TemplateProblem(
            failure.file, failure.line or 1, failure.column or 1, code, message, suggestion
        )

    def _result(self, gone: frozenset[str]) -> Rendered | RenderFailure:
        locale = self._locale or self._renderer.locale
        return self._renderer.render_variant(
            self._channel, self._name, self._context(gone), self._locale, locale
        )

    def _render(self, gone: frozenset[str]) -> RenderFailure | None:
        result = self._result(gone)
        if isinstance(result, RenderFailure):
            # Nothing left to say without the optional values, or the missing subject that is reported anyway.
            expected = result.code == "empty" and (gone or not self._message.fields.get("subject"))
            return None if expected else result
        return None

    def _context(self, gone: frozenset[str]) -> dict[str, Any]:
        customer = _record(
            self._attributes,
            {
                "id": "c1",
                "email": "ada@example.com",
                "phone": "+491701234567",
                "locale": self._locale or self._renderer.locale,
                "timezone": self._renderer.timezone,
            },
        )
        event = _record(self._properties, {"id": "e1", "name": "order.placed", "at": _NOW})
        for record, prefix in ((customer, "customer."), (event, "event.")):
            for name in gone:
                if name.startswith(prefix):
                    record[name.removeprefix(prefix)] = None
        step = context.of_step(customer, event, "journey", "steps.0", _NOW)
        data = AnyRecord() if self._data is None else dict(self._data)
        orders: list[AnyRecord] = [] if "orders" in gone else [AnyRecord(), AnyRecord()]
        return context.of_message(step, data, "https://example.com/{}".format, orders, _SENDER)


def _promised(
    events: Mapping[str, Mapping[str, str]], required: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Return the properties that each of these events has, whatever it is about."""
    each = [required.get(name, frozenset()) for name in events]
    return frozenset.intersection(*each) if each else frozenset()


def _lacking(failure: RenderFailure, gone: frozenset[str]) -> str | None:
    """Return which of the values taken away a failure is about."""
    words = failure.message.replace("[0]", "")
    named = [name for name in gone if f" {name} " in words]
    if named:
        return named[0]
    return "orders" if "orders" in gone and "orders" in words else None


def _record(types: Mapping[str, str] | None, given: dict[str, Any]) -> dict[str, Any]:
    if types is None:
        return AnyRecord(given)
    return {name: _sample(kind) for name, kind in types.items()} | given


def _sample(kind: str) -> Any:
    return {
        "text": SampleText("Sample"), "number": 42, "bool": True, "date": date(1990, 5, 17), "time": _NOW,
        "list": [AnyRecord(), AnyRecord()],
    }.get(kind, AnyValue(1))  # fmt: skip

"""A call's address and document for one customer. Text in, text out; what fails is a RenderFailure, never raised.

What a template puts into the address is percent-encoded, so that it stays one part of it; only an expression the
address begins with is taken as it is. A text in the document that is nothing but one `{{ … }}` keeps its type:
`"{{ event.total }}"` is a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from treue.render.problem import Fault, RenderFailure, TemplateProblem
from treue.render.sandbox import sandbox
from treue.render.templates.compiled import CompiledPart, compile_part
from treue.render.templates.names import NameSchema
from treue.render.templates.tags import JinjaSource, Tag, cut

NAMES = ("customer", "event", "journey", "step", "now")
"""What a call's templates may use."""


@dataclass(frozen=True)
class Written:
    """A call ready to be made; `body` is empty where it carries no document."""

    url: str
    body: bytes = b""


def write_call(
    url: str, document: str | None, context: Mapping[str, Any], locale: str, zone: str
) -> Written | RenderFailure:
    """Return a call's address and document for a customer, or why there is none."""
    part, _ = _compiled(url, "url")
    try:
        address = _text(part, context, locale, zone)
        if document is None:
            return Written(address)
        filled = _filled(json.loads(document), context, locale, zone)
        return Written(address, json.dumps(filled, ensure_ascii=False, separators=(",", ":")).encode())
    except _Failed as failed:
        return failed.failure


def call_problems(url: str, document: str | None, schema: NameSchema) -> Iterator[TemplateProblem]:
    """Yield what is wrong with a call's templates, whoever the customer is."""
    names = {name: parts for name, parts in schema.parts().items() if name in NAMES}
    sources = [_source(url, "url"), *(_source(text, _form(text)) for text in _texts(document))]
    for source, problems in sources:
        yield from problems or compile_part(source, "", names)[1]


class _Failed(Exception):  # noqa: N818 - carries a failure across the document's levels
    def __init__(self, failure: RenderFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _text(part: CompiledPart, context: Mapping[str, Any], locale: str, zone: str) -> str:
    state = sandbox.State((locale,), zone, "", "")
    variables = {**context, "range": sandbox.bounded_range, sandbox.STATE: state}
    try:
        return part.render(variables).strip()
    except (TemplateError, *_FAULTS) as error:
        raise _Failed(part.failure(error)) from error


_FAULTS = (ArithmeticError, TypeError, ValueError, LookupError, RecursionError, AttributeError, Fault)


def _filled(value: Any, context: Mapping[str, Any], locale: str, zone: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, context, locale, zone) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, context, locale, zone) for inner in value]
    if not isinstance(value, str) or not _is_template(value):
        return value
    form = _form(value)
    text = _text(_compiled(value, form)[0], context, locale, zone)
    return json.loads(text) if form == "value" else text


def _texts(document: str | None) -> list[str]:
    found, rest = [], [json.loads(document)] if document else []
    while rest:
        value = rest.pop()
        if isinstance(value, (dict, list)):
            rest += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str) and _is_template(value):
            found.append(value)
    return found


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _form(text: str) -> str:
    pieces, _ = cut(text, "")
    return "value" if len(pieces) == 1 and isinstance(pieces[0], Tag) and pieces[0].prints else "text"


@lru_cache(maxsize=1024)
def _compiled(text: str, form: str) -> tuple[CompiledPart, list[TemplateProblem]]:
    return compile_part(_source(text, form)[0], "", NameSchema().parts())


def _source(text: str, form: str) -> tuple[JinjaSource, list[TemplateProblem]]:
    """Return a text's source, what it prints passed to the filter that its form asks for."""
    pieces, problems = cut(text, "")
    joined = ""
    for n, piece in enumerate(pieces):
        wrap = {"url": "urlencode" if n else "", "value": "treue_json", "text": ""}[form]
        joined += piece if isinstance(piece, str) else piece.spread(wrap if piece.prints else "")
    return JinjaSource(joined, tuple(piece for piece in pieces if isinstance(piece, Tag))), problems

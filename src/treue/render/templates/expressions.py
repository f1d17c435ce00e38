"""A single value with `{{ … }}` in it, as `set` and `emit` have them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from treue.render.problem import Fault, TemplateProblem
from treue.render.sandbox import sandbox
from treue.render.templates.compiled import CompiledPart, compile_part
from treue.render.templates.names import NameSchema
from treue.render.templates.tags import cut, merge_tags, plain

NAMES = ("customer", "event", "journey", "now")
"""What a value in a step may use."""


class Expression:
    """A compiled value. Make it with `of`, which keeps what was compiled before."""

    def __init__(self, part: CompiledPart) -> None:
        self._part = part

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(source: str) -> Expression:
        """Return the expression a text is."""
        pieces, _ = cut(source, "value")
        part, _ = compile_part(plain(pieces), "value", NameSchema().parts())
        return Expression(part)

    @staticmethod
    def problems(source: str, schema: NameSchema) -> list[TemplateProblem]:
        """Return what is wrong with a text as an expression, whoever the customer is."""
        pieces, problems = cut(source, "")
        names = {name: parts for name, parts in schema.parts().items() if name in NAMES}
        return [*problems, *merge_tags(source, "")] or compile_part(plain(pieces), "", names)[1]

    def text(self, context: Mapping[str, Any], locale: str = "en", zone: str = "UTC") -> str | None:
        """Return the value for a customer, or None where it cannot be worked out for this one."""
        state = sandbox.State((locale,), zone, "", "")
        variables = {**context, "range": sandbox.bounded_range, sandbox.STATE: state}
        try:
            return self._part.render(variables).strip()
        except (Fault, TemplateError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError,
                AttributeError):  # fmt: skip
            return None

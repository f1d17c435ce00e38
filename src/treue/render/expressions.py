"""A single value with `{{ … }}` in it, as `set` and `emit` have them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from treue.render import sandbox
from treue.render.compiled import Part, compile_part
from treue.render.names import Schema
from treue.render.problem import Fault
from treue.render.tags import cut, plain


class Expression:
    """A compiled value. Make it with `of`, which keeps what was compiled before."""

    def __init__(self, part: Part) -> None:
        self._part = part

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(source: str) -> Expression:
        """Return the expression a text is."""
        pieces, _ = cut(source, "value")
        part, _ = compile_part(plain(pieces), "value", Schema().parts())
        return Expression(part)

    def text(self, context: Mapping[str, Any], locale: str = "en", zone: str = "UTC") -> str | None:
        """Return the value for a customer, or None where it cannot be worked out for this one."""
        state = sandbox.State((locale,), zone, "", "")
        variables = {**context, "range": sandbox.bounded_range, sandbox.STATE: state}
        try:
            return self._part.render(variables).strip()
        except (Fault, TemplateError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError,
                AttributeError):  # fmt: skip
            return None

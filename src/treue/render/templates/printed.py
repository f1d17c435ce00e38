"""What a message was written with: of all that its template might see, the values that it reads, to write it so once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

ALWAYS = frozenset({("customer", "locale"), ("customer", "timezone"), ("journey", "name")})
"""What decides how values are written, whatever the template reads."""


def printed(reads: Collection[tuple[str, ...]], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a context what a template reads, but nothing that gives power to whoever has it: no link, no token.

    The message's own links are made anew where it is shown.
    """
    found: dict[str, Any] = {}
    for path in sorted({*reads, *ALWAYS}):
        if path[0] in context:
            _take(path, context, found)
    found.pop("links", None)
    found["customer"].pop("push_token", None)
    return found


def _take(path: tuple[str, ...], source: Mapping[str, Any], into: dict[str, Any]) -> None:
    """Put what is at a path in the same place."""
    for place, name in enumerate(path):
        if name not in source:
            return
        value = source[name]
        if place == len(path) - 1 or not isinstance(value, Mapping):
            into[name] = {**value} if isinstance(value, Mapping) else value
            return
        source, into = value, into.setdefault(name, {})

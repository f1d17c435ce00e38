"""What mail clients cannot show, by the data of caniemail.com."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Feature:
    """A feature of HTML or CSS: how it is written, which clients cannot show it, and of how many one knows."""

    title: str
    page: str
    kind: str
    written: re.Pattern[str]
    fails: tuple[str, ...]
    known: int


@cache
def features() -> tuple[Feature, ...]:
    """Return the features that at least one client fails at."""
    table = json.loads((files("treue.lint.clients") / "caniemail.json").read_text(encoding="utf-8"))
    found = []
    for one in table["features"]:
        kind, _, written = one["written"].partition(" ")
        if one["fails"]:
            pattern = re.compile(
                _PATTERNS.get(kind, "(?P<said>{})").format(written.replace(": ", r"\s*:\s*")), re.IGNORECASE
            )
            found.append(Feature(one["title"], one["page"], kind, pattern, tuple(one["fails"]), one["known"]))
    return tuple(found)


_PATTERNS = {
    "property": r"(?:^|[;{{\s])(?P<said>(?:{})\s*:)",
    "declaration": r"(?:^|[;{{\s])(?P<said>{})(?=\s*(?:[;}}!]|$))",
    "function": r"(?<![\w-])(?P<said>{})\(",
    "unit": r"[\s:,(]-?[\d.]+(?P<said>{})(?![\w%-])",
    "pseudo": r"(?P<said>::?{})(?![\w-])",
    "rule": r"(?P<said>@{})(?![\w-])",
    "nesting": r"[{{;]\s*(?P<said>{})[\s.:#>\[]",
}
"""Where in CSS something is written."""

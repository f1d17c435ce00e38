"""MJML: what our own check says of it, with line and column.

The compiler (mrml) drops unknown elements without a word and names no line in its errors, so elements and
their nesting are checked here first.
"""

from __future__ import annotations

import re

from treue.render.problem import TemplateProblem
from treue.render.templates.markup import line_column, unknown_word
from treue.render.templates.tags import shadow

STRUCTURE = (
    "mjml", "mj-head", "mj-body", "mj-section", "mj-column", "mj-group", "mj-wrapper", "mj-hero", "mj-social",
    "mj-navbar", "mj-carousel", "mj-accordion", "mj-attributes",
)  # fmt: skip
"""Elements that hold other elements and no text."""

ELEMENTS = (
    *STRUCTURE, "mj-all", "mj-class", "mj-breakpoint", "mj-font", "mj-html-attributes", "mj-preview", "mj-style",
    "mj-title", "mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table", "mj-raw",
    "mj-social-element", "mj-navbar-link", "mj-carousel-image", "mj-accordion-element", "mj-accordion-title",
    "mj-accordion-text",
)  # fmt: skip
_VOID = ("br", "img", "hr", "input", "meta", "link", "col", "area", "source", "wbr", "base", "embed", "track")
_PART = re.compile(r"<!--.*?-->|<(/?)([a-zA-Z][\w:-]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL)


def check_mjml(source: str, file: str, first_line: int) -> list[TemplateProblem]:
    """Return unknown elements, wrong nesting, and data printed where MJML has no text.

    A source without <mjml> is taken as what stands in a layout's <mj-body>.
    """
    return _Checker(source, file, first_line).problems()


class _Checker:
    def __init__(self, source: str, file: str, first_line: int) -> None:
        self._source, self._file, self._first_line = source, file, first_line
        self._text = shadow(source)
        self._whole = source.lstrip()[:5].lower() == "<mjml"
        self._stack: list[tuple[str, int]] = [] if self._whole else [("mj-body", 0)]
        self._found: list[TemplateProblem] = []

    def problems(self) -> list[TemplateProblem]:
        at = 0
        for part in _PART.finditer(self._text):
            self._stray(at, part.start())
            at = part.end()
            if not part[0].startswith("<!--") and not self._element(part):
                return self._found
        self._stray(at, len(self._text))
        self._unclosed()
        return self._found

    def _report(self, at: int, code: str, message: str, suggestion: str) -> None:
        place = line_column(self._text, at, self._first_line)
        self._found.append(TemplateProblem(self._file, *place, code, message, suggestion))

    def _element(self, part: re.Match[str]) -> bool:
        """Follow one tag; False where the nesting is broken and nothing after it can be trusted."""
        name = part[2].lower()
        if name.startswith("mj") and name not in ELEMENTS:
            known = [one for one in ELEMENTS if one.startswith("mj-")]
            self._report(part.start(), "T401", f"MJML has no element <{name}>.", unknown_word(name, known))
        if part[3].rstrip().endswith("/") or name in _VOID:
            return True
        if not part[1]:
            self._stack.append((name, part.start()))
            return True
        return self._close(name, part.start())

    def _close(self, name: str, at: int) -> bool:
        inner = self._stack[-1][0] if len(self._stack) > (0 if self._whole else 1) else ""
        if inner == name:
            self._stack.pop()
            return True
        if inner:
            self._report(at, "T401", f"</{name}> stands where </{inner}> is due.", f"Close <{inner}> first.")
        else:
            self._report(at, "T401", f"</{name}> closes nothing that was opened.", "Take it out.")
        return False

    def _unclosed(self) -> None:
        if len(self._stack) > (0 if self._whole else 1):
            name, at = self._stack[-1]
            self._report(at, "T401", f"<{name}> is never closed.", f"Write </{name}>.")

    def _stray(self, begin: int, end: int) -> None:
        element = self._stack[-1][0] if self._stack else ""
        if element not in STRUCTURE:
            return
        for found in re.finditer(r"\0[\0\n]*", self._text[begin:end]):
            text = self._source[begin + found.start() : begin + found.end()].strip()
            if text[2:-2].strip("-+ ") != "content":
                self._report(
                    begin + found.start(), "T401",
                    f"{text} stands directly in <{element}>, which has no text of its own.",
                    "Put it into <mj-text>, or into <mj-raw> if it is HTML.",
                )  # fmt: skip

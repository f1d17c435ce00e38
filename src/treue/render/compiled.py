"""One part of a message, compiled: a subject, a text, an HTML page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError

from treue.render import audit, sandbox
from treue.render.problem import Fault, RenderFailure, TemplateProblem
from treue.render.tags import Source, Tag
from treue.render.values import missing

HTML = sandbox.Environment(autoescape=True)
TEXT = sandbox.Environment(autoescape=False)
_AT_ONCE = 16
"""Pieces of text made between two looks at how much it is by now."""
_BROKEN_BY = (ArithmeticError, TypeError, ValueError, LookupError, RecursionError, AttributeError)


@dataclass(frozen=True)
class Part:
    """A compiled source. `constant` is its text where it has no tags; `file` where it comes from."""

    source: Source
    file: str
    constant: str | None = None
    template: JinjaTemplate | None = None
    names: frozenset[str] = frozenset()

    def render(self, variables: dict[str, Any]) -> str:
        """Return the text for these variables; raises Fault and Jinja's errors (see `failure`)."""
        if self.template is None:
            return self.constant or ""
        pieces = self.template.root_render_func(self.template.new_context(variables, shared=True))
        text = ""
        while some := list(islice(pieces, _AT_ONCE)):
            text += "".join(some)
            if len(text) > sandbox.OUTPUT:
                raise Fault("too-much", f"A message may have at most {sandbox.OUTPUT // 1024} kB.")
        return text

    def failure(self, error: Exception) -> RenderFailure:
        """Return what an error of `render` means, with its place in the author's file."""
        tag = self._tag_of(error)
        fault = _fault(error)
        name = fault.name
        if fault.code == "missing-value" and tag:
            fault = missing(_full_name(tag, name))
        line, column = tag.place_of(name) if tag else (0, 0)
        return RenderFailure(fault.code, fault.message, tag.file if tag else self.file, line, column)

    def _tag_of(self, error: Exception) -> Tag | None:
        found = None
        trace = error.__traceback__
        while trace is not None:
            template = trace.tb_frame.f_globals.get("__jinja_template__")
            if template is not None or trace.tb_frame.f_code.co_name == "root":
                line = self.template.get_corresponding_lineno(trace.tb_lineno) if self.template else 0
                found = self.source.tag_at(line)
            trace = trace.tb_next
        return found


def _fault(error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, UndefinedError):
        return Fault(
            "unknown-name",
            f"{str(error).removesuffix('.')}.",
            str(error).split("'")[1] if "'" in str(error) else "",
        )
    return Fault("wrong-type", f"This cannot be worked out: {error}.")


def _full_name(tag: Tag, name: str) -> str:
    last = name.rsplit(".", 1)[-1]
    found = re.search(rf"[\w.\[\]]*(?<![\w]){re.escape(last)}(?![\w])", tag.text) if last else None
    return found[0] if found else name


def compile_part(
    source: Source, file: str, parts: dict[str, frozenset[str] | None], *, html: bool = False
) -> tuple[Part, list[TemplateProblem]]:
    """Compile one source, or return everything that is wrong with it.

    `parts` are the names at hand and their declared parts.
    """
    if source.constant:
        return Part(source, file, constant=source.text), []
    environment = HTML if html else TEXT
    raw = [tag for tag in source.tags if tag.word in ("raw", "endraw")]
    if raw:
        return Part(source, file), [_raw(tag) for tag in raw]
    try:
        tree = environment.parse(source.text)
    except (TemplateSyntaxError, *_BROKEN_BY) as error:
        return Part(source, file), _syntax(source, file, environment, error)
    findings = audit.audit(tree, parts)
    if findings:
        return Part(source, file), [_problem(source, file, one) for one in findings]
    names = audit.used(tree)
    try:
        code = environment.compile(sandbox.prepare(tree, environment))
        template = JinjaTemplate.from_code(environment, code, {})
    except (TemplateError, SyntaxError, MemoryError, *_BROKEN_BY) as error:
        return Part(source, file), _syntax(source, file, environment, error)
    return Part(source, file, template=template, names=names), []


def _problem(source: Source, file: str, finding: audit.Finding) -> TemplateProblem:
    tag = source.tag_at(finding.line)
    line, column = tag.place_of(finding.name) if tag else (1, 1)
    return TemplateProblem(
        tag.file if tag else file, line, column, finding.code, finding.message, finding.suggestion
    )


def _syntax(
    source: Source, file: str, environment: sandbox.Environment, error: BaseException
) -> list[TemplateProblem]:
    """Look at every `{{ … }}` by itself, so that all are reported; else report what the parser stopped at."""
    found = [problem for tag in source.tags if tag.prints for problem in _alone(tag, environment)]
    if found:
        return found
    tag = source.tag_at(getattr(error, "lineno", 1) or 1)
    line, column = (tag.line, tag.column) if tag else (1, 1)
    return [TemplateProblem(tag.file if tag else file, line, column, "T401", _sentence(error))]


def _raw(tag: Tag) -> TemplateProblem:
    return TemplateProblem(
        tag.file, tag.line, tag.column, "T401", f"{tag.word!r} is not part of Treue's templates.",
        "Write braces as {{ '{{' }}.",
    )  # fmt: skip


def _alone(tag: Tag, environment: sandbox.Environment) -> list[TemplateProblem]:
    try:
        environment.parse(tag.text)
    except (TemplateSyntaxError, *_BROKEN_BY) as error:
        return [
            TemplateProblem(
                tag.file, tag.line, tag.column, "T401", f"{_shortened(tag.text)}: {_sentence(error)}"
            )
        ]
    return []


def _sentence(error: BaseException) -> str:
    if isinstance(error, TemplateSyntaxError) and error.message:
        words = error.message.split(" Jinja was looking for")[0].strip()
        return words[:1].upper() + words[1:].rstrip(".") + "."
    if isinstance(error, (RecursionError, MemoryError, SyntaxError)):
        return "This is nested too deeply."
    return f"This cannot be read: {error}."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"

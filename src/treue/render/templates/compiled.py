"""One part of a message, compiled: a subject, a text, an HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from types import CodeType
from typing import Any

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.nodes import Template
from jinja2.parser import Parser

from treue.render.problem import FINDINGS, Fault, RenderFailure, TemplateProblem
from treue.render.sandbox import audit, confinement, sandbox
from treue.render.sandbox.confinement import Packed
from treue.render.sandbox.values import missing
from treue.render.templates import elsewhere
from treue.render.templates.tags import JinjaSource, Tag

HTML = sandbox.Environment(autoescape=True)
TEXT = sandbox.Environment(autoescape=False)
_AT_ONCE = 16
"""Pieces of text made between two looks at how much it is by now."""
_KEPT = 2048
"""Texts whose compiled form is kept."""
_BROKEN_BY = (ArithmeticError, TypeError, ValueError, LookupError, RecursionError, AttributeError)


@dataclass(frozen=True)
class CompiledPart:
    """A compiled source. `constant` is its text where it has no tags; `file` where it comes from.

    One that is not proven to finish soon (`audit.bounded`) has a `code` and renders from it, in a child process only.
    """

    source: JinjaSource
    file: str
    constant: str | None = None
    template: JinjaTemplate | None = None
    names: frozenset[str] = frozenset()
    html: bool = False
    code: Packed | None = None
    reads: frozenset[str] = frozenset()

    def render(self, variables: dict[str, Any]) -> str:
        """Return the text for these variables; raises Fault and Jinja's errors (see `failure`)."""
        if self.template is None:
            return self.constant or ""
        if self.code is None:
            return render_here(self.template, variables)
        return self._confined(self.code, variables)

    def _confined(self, packed: Packed, variables: dict[str, Any]) -> str:
        state: sandbox.State = variables[sandbox.STATE]
        try:
            answer = confinement.render_part(packed, self.html, variables, state.seconds)
        except confinement.RenderStopped as stopped:
            message = f"This template does too much work for one message: {stopped.why}."
            raise _Far("too-much", message, "", 0) from stopped
        state.work, state.loops = answer["work"], answer["loops"]
        state.seconds -= answer["seconds"]
        if "fault" in answer:
            code, message, name = answer["fault"]
            raise _Far(code, message, name, answer["line"])
        return str(answer["text"])

    def failure(self, error: Exception) -> RenderFailure:
        """Return what an error of `render` means, with its place in the author's file."""
        tag = self._tag_of(error)
        fault = fault_of(error)
        name = fault.name
        if fault.code == "missing-value" and tag:
            fault = missing(_full_name(tag, name))
        line, column = tag.place_of(name) if tag else (0, 0)
        return RenderFailure(fault.code, fault.message, tag.file if tag else self.file, line, column)

    def _tag_of(self, error: Exception) -> Tag | None:
        if isinstance(error, _Far):
            line: int | None = error.line
        else:
            line = line_of(self.template, error) if self.template else None
        return self.source.tag_at(line) if line else None


class _Far(Fault):
    """A fault in the child process, and the line of the source it happened at (0: not known)."""

    def __init__(self, code: str, message: str, name: str, line: int) -> None:
        super().__init__(code, message, name)
        self.line = line


def render_here(template: JinjaTemplate, variables: dict[str, Any]) -> str:
    """Return a template's text for these variables, here and now; raises Fault and Jinja's errors."""
    pieces = template.root_render_func(template.new_context(variables, shared=True))
    text = ""
    while some := list(islice(pieces, _AT_ONCE)):
        text += "".join(some)
        if len(text) > sandbox.OUTPUT:
            raise Fault("too-much", f"A message may have at most {sandbox.OUTPUT // 1024} kB.")
    return text


def line_of(template: JinjaTemplate, error: Exception) -> int:
    """Return the line of a template's source at which an error came up, or 0."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if "__jinja_template__" in trace.tb_frame.f_globals or trace.tb_frame.f_code.co_name == "root":
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


def fault_of(error: Exception) -> Fault:
    """Return what an error while rendering says to the author."""
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
    source: JinjaSource, file: str, parts: dict[str, frozenset[str] | None], *, html: bool = False
) -> tuple[CompiledPart, list[TemplateProblem]]:
    """Compile one source, or return everything that is wrong with it.

    `parts` are the names at hand and their declared parts.
    """
    if source.constant:
        return CompiledPart(source, file, constant=source.text), []
    environment = HTML if html else TEXT
    unreadable = list(islice(_unreadable(source, environment), FINDINGS))
    if unreadable:
        return CompiledPart(source, file), unreadable
    try:
        tree = environment.parse(source.text)
    except (TemplateSyntaxError, *_BROKEN_BY) as error:
        return CompiledPart(source, file), _syntax(source, file, environment, error)
    walked = audit.walk(tree)
    findings = audit.audit(walked, parts)
    if findings:
        return CompiledPart(source, file), [_problem(source, file, one) for one in findings]
    names, reads, bounded = audit.used(walked), audit.read(walked), audit.bounded(walked)
    try:
        code, template = runnable(source.text, environment).made_of(tree, environment)
    except (TemplateError, SyntaxError, MemoryError, *_BROKEN_BY) as error:
        return CompiledPart(source, file), _syntax(source, file, environment, error)
    packed = None if bounded else Packed.of(code)
    return CompiledPart(source, file, None, template, names, html, packed, reads), []


class Runnable:
    """A text's compiled form, made once for all templates that say the same: the files', and the copies versions keep."""

    def __init__(self) -> None:
        self._made: tuple[CodeType, JinjaTemplate] | None = None

    def made_of(self, tree: Template, environment: sandbox.Environment) -> tuple[CodeType, JinjaTemplate]:
        """Return code and template; the first time made of the text's tree, which is changed by that."""
        if self._made is None:
            code = environment.compile(sandbox.prepare(tree, environment))
            self._made = code, JinjaTemplate.from_code(environment, code, {})
        return self._made


@lru_cache(maxsize=_KEPT)
def runnable(text: str, environment: sandbox.Environment) -> Runnable:  # noqa: ARG001 - what it is kept by
    """Return the compiled form of a text in an environment."""
    return Runnable()


def _problem(source: JinjaSource, file: str, finding: audit.Finding) -> TemplateProblem:
    tag = source.tag_at(finding.line)
    line, column = tag.place_of(finding.name) if tag else (1, 1)
    return TemplateProblem(
        tag.file if tag else file, line, column, finding.code, finding.message, finding.suggestion
    )


def _syntax(
    source: JinjaSource, file: str, environment: sandbox.Environment, error: BaseException
) -> list[TemplateProblem]:
    """Parse every `{{ … }}` on its own to report all errors; if none is found, report where the parser stopped."""
    found = [problem for tag in source.tags if tag.prints for problem in _alone(tag, environment)]
    found += unbalanced(source.tags)
    if found:
        return found
    tag = source.tag_at(getattr(error, "lineno", None) or _line_reached(error))
    line, column = (tag.line, tag.column) if tag else (1, 1)
    advice = elsewhere.WORDS.get(tag.word, "") if tag else ""
    return [TemplateProblem(tag.file if tag else file, line, column, "T401", _sentence(error), advice)]


def _unreadable(source: JinjaSource, environment: sandbox.Environment) -> Iterator[TemplateProblem]:
    """Yield the tags that Jinja would parse as something other than what the author wrote."""
    if len(source.tags) > audit.TAGS:
        tag = source.tags[audit.TAGS]
        place = tag.file, tag.line, tag.column
        yield TemplateProblem(*place, "T401", "This template has too many tags.", "Make it shorter.")
        return
    for tag in source.tags:
        if tag.word in ("raw", "endraw"):
            yield TemplateProblem(
                tag.file, tag.line, tag.column, "T401", f"{tag.word!r} is not part of Treue's templates.",
                "Write braces as {{ '{{' }}.",
            )  # fmt: skip
        elif "treue_" in tag.text and (name := _internal(tag, environment)):
            message = f"There is no filter called {name!r}."
            yield TemplateProblem(tag.file, *tag.place_of(name), "T403", message, "Leave it out.")


def _internal(tag: Tag, environment: sandbox.Environment) -> str:
    """Return the filter of our own that an author calls, or nothing."""
    try:
        words = [str(value) for _, kind, value in environment.lex(tag.text) if kind != "whitespace"]
    except TemplateSyntaxError:
        return ""
    named = (name for sign, name in pairwise(words) if sign == "|" and name.startswith("treue_"))
    return next(named, "")


def _alone(tag: Tag, environment: sandbox.Environment) -> list[TemplateProblem]:
    try:
        environment.parse(tag.text)
    except (TemplateSyntaxError, *_BROKEN_BY) as error:
        return [
            TemplateProblem(
                tag.file, tag.line, tag.column, "T401", f"{_shortened(tag.text)}: {_sentence(error)}",
                _advice(tag),
            )
        ]  # fmt: skip
    return []


def _advice(tag: Tag) -> str:
    """Return what to write in place of a `{{ … }}` that other tools read otherwise."""
    inside = tag.text[2:-2].strip()
    if inside.startswith("{"):
        return "Write {{ … }}, with two braces."
    if inside.startswith(("#", "/")):
        return "Write {% if … %} or {% for … in … %}, and {% endif %} or {% endfor %}."
    if inside.startswith("$"):
        return "Write {{ customer.… }}."
    if re.search(r"\|\s*\w+\s*:", inside):
        return "What a filter is given stands in brackets: | default('…')."
    return ""


_CLOSED = {"if": "endif", "for": "endfor", "with": "endwith"}
_OPENED = {end: word for word, end in _CLOSED.items()}


def unbalanced(tags: Sequence[Tag]) -> list[TemplateProblem]:
    """Return a problem for each `{% … %}` that is opened and never closed, or closed and never opened, where it stands."""
    found: list[TemplateProblem] = []
    open_: list[Tag] = []
    told: list[str] = []
    for tag in tags:
        if tag.word in _CLOSED:
            open_.append(tag)
        elif tag.word in _OPENED:
            word = _OPENED[tag.word]
            if word in [one.word for one in open_]:
                while open_[-1].word != word:
                    told.append(open_[-1].word)
                    found.append(_never_closed(open_.pop()))
                open_.pop()
            elif word in told:  # said where it was opened
                told.remove(word)
            else:
                found.append(_lonely(tag, f"{_shortened(tag.text)} closes nothing.", "Take it out."))
    return [*found, *map(_never_closed, open_)][:FINDINGS]


def _never_closed(tag: Tag) -> TemplateProblem:
    advice = f"Write {{% {_CLOSED[tag.word]} %}} where it ends."
    return _lonely(tag, f"{_shortened(tag.text)} is never closed.", advice)


def _lonely(tag: Tag, message: str, advice: str) -> TemplateProblem:
    return TemplateProblem(tag.file, tag.line, tag.column, "T401", message, advice)


def _line_reached(error: BaseException) -> int:
    """Return the line at which the parser was when it gave up."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        parser = trace.tb_frame.f_locals.get("self")
        line = parser.stream.current.lineno if isinstance(parser, Parser) else line
        trace = trace.tb_next
    return line


def _sentence(error: BaseException) -> str:
    if isinstance(error, TemplateSyntaxError) and error.message:
        words = error.message.split(" Jinja was looking for")[0].strip()
        return words[:1].upper() + words[1:].rstrip(".") + "."
    if isinstance(error, (RecursionError, MemoryError, SyntaxError)):
        return "This is nested too deeply."
    return f"This cannot be read: {error}."


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"

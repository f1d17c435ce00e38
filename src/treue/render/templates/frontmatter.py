"""The mapping between two `---` lines at the top of a template's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

import yaml

from treue.render.problem import TemplateProblem, nearest
from treue.render.templates.tags import Piece, cut, merge_tags

KEYS = ("subject", "preheader", "from", "title", "link", "category", "layout", "attach", "pictures")
CATEGORIES = ("promotional", "relational", "transactional")
SETTINGS = ("category", "layout", "attach", "pictures")
"""Keys that say how a message goes; the others are what it says."""
HOSTED, ATTACHED = "hosted", "attached"
_WORDS = {"category": CATEGORIES, "pictures": (HOSTED, ATTACHED)}
"""Keys that take one of a few words, which no tag can make."""
LARGEST = 16_384
_FENCE = re.compile(r"---[ \t]*\n(.*?\n|)---[ \t]*(?:\n|\Z)", re.DOTALL)
_BARE = re.compile(r"^(\w+:[ \t]*)(\{[{%].*)$", re.MULTILINE)


@dataclass(frozen=True)
class Value:
    """One value of the front matter, itself a template, and where it stands; `entries` where it is a list."""

    text: str
    pieces: tuple[Piece, ...]
    file: str
    line: int
    column: int
    entries: tuple[Value, ...] = ()


@dataclass(frozen=True)
class FrontMatter:
    """The values by key, the body below them, and the line of the file on which the body begins."""

    values: Mapping[str, Value] = field(default_factory=dict)
    body: str = ""
    body_line: int = 1
    problems: tuple[TemplateProblem, ...] = ()


def read(source: str, file: str) -> FrontMatter:
    """Take a file apart. What is wrong with the front matter is a problem, and the rest loads."""
    source = source.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _FENCE.match(source)
    if not found:
        return FrontMatter(body=source)
    body_line = source.count("\n", 0, found.end()) + 1
    values, problems = _values(found[1], file)
    return FrontMatter(values, source[found.end() :], body_line, problems)


@lru_cache(maxsize=256)  # layouts are read with every template, and what the rules look at is read again
def _values(text: str, file: str) -> tuple[Mapping[str, Value], tuple[TemplateProblem, ...]]:
    """Return what all who read this text share, and so cannot change."""
    values, problems = _read(text, file)
    return MappingProxyType(values), tuple(problems)


def _read(text: str, file: str) -> tuple[dict[str, Value], list[TemplateProblem]]:
    if len(text) > LARGEST:
        return {}, [
            _problem(file, 1, 1, "The front matter is longer than 16 kB.", "Put the text into the body.")
        ]
    try:
        # A value that begins with braces would be a YAML mapping; what is meant is always text.
        tree = yaml.compose(_BARE.sub(_quoted, text), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 2, mark.column + 1) if mark else (2, 1)
        return {}, [
            _problem(
                file,
                line,
                column,
                f"The front matter is not YAML: {error.problem}.",
                'Put the value into quotes: subject: "…".',
            )
        ]
    except (yaml.YAMLError, RecursionError):
        return {}, [
            _problem(file, 2, 1, "The front matter is not YAML.", 'Write lines such as subject: "…".')
        ]
    if tree is None:
        return {}, []
    if not isinstance(tree, yaml.MappingNode):
        return {}, [
            _problem(
                file, 2, 1, "The front matter is not a list of keys.", 'Write lines such as subject: "…".'
            )
        ]
    return _entries(tree, file)


def _quoted(line: re.Match[str]) -> str:
    return line[1] + "'" + line[2].rstrip(" \t").replace("'", "''") + "'"


def _entries(tree: yaml.MappingNode, file: str) -> tuple[dict[str, Value], list[TemplateProblem]]:
    values: dict[str, Value] = {}
    problems: list[TemplateProblem] = []
    for key, node in tree.value:
        line, column = key.start_mark.line + 2, key.start_mark.column + 1
        name = str(key.value)
        if name not in KEYS:
            problems.append(
                _problem(
                    file,
                    line,
                    column,
                    f"Front matter has no key {name!r}.",
                    nearest(name, KEYS) or f"Its keys are {', '.join(KEYS)}.",
                )
            )
        elif name in values:
            problems.append(_problem(file, line, column, f"{name!r} stands here twice.", "Take one out."))
        elif name == "attach":
            values[name], found = _list(node, file)
            problems += found
        elif not isinstance(node, yaml.ScalarNode):
            problems.append(
                _problem(
                    file,
                    line,
                    column,
                    f"The value of {name!r} must be text.",
                    f'Put it into quotes: {name}: "…".',
                )
            )
        else:
            values[name], found = _value(node, file)
            problems += found
    for name, words in _WORDS.items():
        problems += _word(values.get(name), name, words)
    return values, problems


def _list(node: yaml.Node, file: str) -> tuple[Value, list[TemplateProblem]]:
    """Return the names of files: a list, or one name by itself. They are the same for everybody."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    line, column = node.start_mark.line + 2, node.start_mark.column + 1
    entries = []
    for one in nodes:
        value, found = _value(one, file) if isinstance(one, yaml.ScalarNode) else (None, [])
        if value is None or found or any(not isinstance(piece, str) for piece in value.pieces):
            advice = "Write attach: [menu.pdf], with no tags in it."
            return Value("", (), file, line, column), [
                _problem(file, line, column, "The value of 'attach' must be a list of files' names.", advice)
            ]
        entries.append(value)
    return Value("", (), file, line, column, tuple(entries)), []


def _value(node: yaml.ScalarNode, file: str) -> tuple[Value, list[TemplateProblem]]:
    line = node.start_mark.line + (3 if node.style in ("|", ">") else 2)
    column = node.start_mark.column + (2 if node.style else 1)
    text = str(node.value).strip()
    pieces, problems = cut(text, file, line, column)
    problems += merge_tags(text, file, line, column)
    return Value(text, tuple(pieces), file, line, column), problems


def _word(value: Value | None, name: str, words: tuple[str, ...]) -> list[TemplateProblem]:
    if value is None or value.text in words:
        return []
    suggestion = nearest(value.text, words) or f"It is {', '.join(words[:-1])} or {words[-1]}."
    message = f"{value.text!r} is not a word for {name}."
    return [_problem(value.file, value.line, value.column, message, suggestion)]


def _problem(file: str, line: int, column: int, message: str, suggestion: str) -> TemplateProblem:
    return TemplateProblem(file, line, column, "T402", message, suggestion)

"""YAML text to a tree in which every node knows its place.

YAML 1.2 scalars (`on`, `yes`, `NO` and `08:00` stay text), and nothing that surprises: no tags, anchors,
aliases, merge keys or second documents, at most 256 kB and 32 levels. The tree is built from libyaml's events
with a stack of our own, so a hostile file costs one pass over its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from treue.language.problems import Place, Problems
from treue.language.syntax import QUOTE_IT, fault

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True)
class Scalar:
    """One value: `value` as YAML 1.2 reads it, `text` as it was written."""

    place: Place
    text: str
    value: str | int | float | bool | None


@dataclass
class Items:
    """A list."""

    place: Place
    nodes: list[Node] = field(default_factory=list)


@dataclass
class Mapping:
    """A mapping, its entries in the order they were written."""

    place: Place
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)

    def get(self, name: str) -> Node | None:
        """Return the value under a key, or None."""
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Scalar | None:
        """Return the key's own node, or None."""
        return next((key for key, _ in self.entries if key.text == name), None)

    def names(self) -> list[str]:
        """Return the keys in the order they were written."""
        return [key.text for key, _ in self.entries]


Node = Scalar | Items | Mapping


@dataclass
class _Open:
    node: Items | Mapping
    key: Scalar | None = None
    seen: dict[str, Place] = field(default_factory=dict)


TOO_DEEP = f"This is nested more than {MAX_DEPTH} levels deep."
_TEXT = f"If it is meant as text: {QUOTE_IT[0].lower()}{QUOTE_IT[1:]}"


class _Stop(Exception):  # noqa: N818 - a private signal, never seen outside this module
    pass


def read(file: str, text: str, problems: Problems) -> Mapping | None:
    """Return the file's mapping, or None after adding what is wrong with it to `problems`."""
    root = read_any(file, text, problems)
    if root is None or isinstance(root, Mapping):
        return root
    problems.add(root.place, "T104", "The file must be a mapping: lines of `key: value`.")
    return None


def read_any(file: str, text: str, problems: Problems) -> Node | None:
    """Return what the file holds, mapping, list or value, or None after adding what is wrong to `problems`."""
    start = Place(file, 1, 1)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problems.add(start, "T103", f"The file is larger than {MAX_BYTES // 1024} kB.")
        return None
    try:
        root = _Builder(file, problems).build(text)
    except _Stop:
        return None
    except yaml.YAMLError as error:
        found = fault(error, text)
        if found.too_deep:  # libyaml gives up on its own, before its events reach us
            problems.add(Place(file, found.line, 1), "T103", TOO_DEEP)
            return None
        problems.add(Place(file, found.line, found.column), "T101", found.message, found.hint)
        return None
    except UnicodeEncodeError:
        problems.add(start, "T106", "The file is not UTF-8.", "Save it as UTF-8.")
        return None
    if root is None or (isinstance(root, Scalar) and root.value is None):
        problems.add(start, "T104", "The file is empty.")
        return None
    return root


class _Builder:
    def __init__(self, file: str, problems: Problems) -> None:
        self.file, self.problems = file, problems

    def build(self, text: str) -> Node | None:
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        events: Iterator[yaml.Event] = yaml.parse(text, Loader=loader)
        root: Node | None = None
        stack: list[_Open] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "T104", "A file holds one document; remove the `---` in the middle.")
            elif isinstance(event, yaml.AliasEvent):
                self._refuse(event, "T102", "Aliases (`*name`) are not allowed; write the value out.", _TEXT)
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                stack.pop()
            elif isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                self._allow(event)
                node = self._node(event)
                root = root or node
                if stack:
                    self._attach(node, stack[-1])
                if not isinstance(node, Scalar):
                    stack.append(_Open(node))
                    if len(stack) > MAX_DEPTH:
                        self._refuse(event, "T103", TOO_DEEP)
        return root

    def _attach(self, node: Node, parent: _Open) -> None:
        if isinstance(parent.node, Items):
            parent.node.nodes.append(node)
        elif parent.key is None:
            parent.key = self._as_key(node)
        else:
            key, parent.key = parent.key, None
            if self._is_new(key, parent):
                parent.node.entries.append((key, node))

    def _is_new(self, key: Scalar, parent: _Open) -> bool:
        if key.text == "<<":
            self.problems.add(key.place, "T102", "Merge keys (`<<`) are not allowed; write the keys out.")
            return False
        first = parent.seen.setdefault(key.text, key.place)
        if first is not key.place:
            message = f"The key `{key.text[:40]}` is here twice; the first is in line {first.line}."
            self.problems.add(key.place, "T105", message)
        return first is key.place

    def _as_key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar) and node.text:
            return node
        hint = None if isinstance(node, Scalar) else "Put quotes around a text in braces or brackets."
        self.problems.add(node.place, "T104", "A key must be a word.", hint)
        raise _Stop

    def _allow(self, event: yaml.NodeEvent) -> None:
        if event.anchor:
            self._refuse(event, "T102", "Anchors (`&name`) are not allowed.", _TEXT)
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            self._refuse(
                event,
                "T102",
                f"Tags (`{tag[:40].replace('tag:yaml.org,2002:', '!!')}`) are not allowed.",
                _TEXT,
            )

    def _refuse(self, event: yaml.Event, code: str, message: str, hint: str | None = None) -> None:
        self.problems.add(self._place(event), code, message, hint)
        raise _Stop

    def _place(self, event: yaml.Event) -> Place:
        start, end = event.start_mark, event.end_mark
        assert start is not None
        assert end is not None
        length = end.column - start.column if end.line == start.line else 1
        return Place(self.file, start.line + 1, start.column + 1, max(length, 1))

    def _node(self, event: yaml.Event) -> Node:
        place = self._place(event)
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style
            return Scalar(place, event.value, _value(event.value) if plain else event.value)
        return Items(place) if isinstance(event, yaml.SequenceStartEvent) else Mapping(place)


def _value(text: str) -> str | int | float | bool | None:
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) <= 18 else text  # a longer one is an id, and would lose digits
    if _FLOAT.fullmatch(text) and len(text) <= 40:
        return float(text)
    return text

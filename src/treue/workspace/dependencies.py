"""Which segments name which, in what order to load them, and where they run in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from treue.language.problems import Place
from treue.language.source import Items, Node, Scalar
from treue.language.source import Mapping as YamlMapping

Uses = dict[str, dict[str, Place]]
"""Each segment with the segments its condition names, and where."""


def named_segments(file: YamlMapping | None) -> dict[str, Place]:
    """Return the segments that a segment's file names, as far as it can be read."""
    found: dict[str, Place] = {}
    rest: list[Node | None] = [file.get("where") if file else None]
    while rest:
        node = rest.pop()
        if isinstance(node, Items):
            rest += reversed(node.nodes)
        elif isinstance(node, YamlMapping):
            if isinstance(name := node.get("segment"), Scalar):
                found.setdefault(name.text, name.place)
            rest += [value for key, value in node.entries if key.text in ("all", "any", "not")]
    return found


def ordered(uses: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the segments so that each comes after those it names; those that lead into a circle are left out."""
    sorter = TopologicalSorter({name: [n for n in named if n in uses] for name, named in uses.items()})
    with suppress(CycleError):
        sorter.prepare()
    order: list[str] = []
    while ready := sorter.get_ready():
        order += ready
        sorter.done(*ready)
    return order


def circles(uses: Uses, order: Iterable[str]) -> list[list[str]]:
    """Return every circle among the segments that have no place in the order, each once."""
    left = set(uses).difference(order)
    seen: set[str] = set()
    found = []
    for start in sorted(left):
        path, name = [], start
        while name not in seen:
            seen.add(name)
            path.append(name)
            name = next(used for used in uses[name] if used in left)
        if name in path:
            found.append(path[path.index(name) :])
    return found

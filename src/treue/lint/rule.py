"""What a rule is, and the files it looks at."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from treue.language.problems import Place, Problem, Problems
from treue.language.source import Items, Mapping, Node, read
from treue.plan.build import CategoryOf
from treue.workspace.loading import Workspace

if TYPE_CHECKING:
    from treue.lint.data import Data


@dataclass(frozen=True)
class Files:
    """The loaded workspace, its files as written, and what templates say of their category."""

    workspace: Workspace
    category_of: CategoryOf
    template_problems: Sequence[Problem] = ()

    @cached_property
    def journeys(self) -> dict[str, Mapping]:
        """The journeys' files as nodes, by name; only of those that could be read."""
        nodes = {name: self._node(f"journeys/{name}.yaml") for name in self.workspace.journeys}
        return {name: node for name, node in nodes.items() if node is not None}

    def _node(self, file: str) -> Mapping | None:
        text = self.workspace.texts.get(file)
        return None if text is None else read(file, text, Problems())

    def place(self, journey: str, *keys: str) -> Place:
        """Return where a key of a journey stands (`enter`, `segment`: the value's key); as near as there is one."""
        node: Node | None = self.journeys.get(journey)
        place = node.place if node else Place(f"journeys/{journey}.yaml", 1, 1)
        for key in keys:
            at = node.key(key) if isinstance(node, Mapping) else None
            if at is None or not isinstance(node, Mapping):
                break
            place, node = at.place, node.get(key)
        return place


class Rule(ABC):
    """One thing worth a warning. The docstring is the rule's page in the documents.

    `wrong` is an example that the rule finds fault with and `right` one it does not; a test holds both to it.
    """

    code: ClassVar[str]
    wrong: ClassVar[str] = ""
    right: ClassVar[str] = ""

    @abstractmethod
    def look(self, files: Files, data: Data | None) -> Iterator[Problem]:
        """Yield what is found."""

    @property
    def page(self) -> str:
        """What the documents say of the rule."""
        return inspect.getdoc(type(self)) or ""


def entries(node: Node) -> Iterator[tuple[Place, str, Node]]:
    """Yield every key of a file with its place and value, however deep."""
    if isinstance(node, Items):
        for item in node.nodes:
            yield from entries(item)
    elif isinstance(node, Mapping):
        for key, value in node.entries:
            yield key.place, key.text, value
            yield from entries(value)

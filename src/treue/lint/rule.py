"""What a rule is, and the files it looks at."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from treue.language.problems import Place, Problem, Problems
from treue.language.source import Items, Mapping, Node, read
from treue.lint.mail_files import MailFile, read_mail_file
from treue.render.templates.renderer import Renderer
from treue.render.templates.workspace_check import Sample, samples
from treue.workspace.files import LAYOUT, SETTINGS_FILE, listed
from treue.workspace.workspace import Workspace

if TYPE_CHECKING:
    from treue.lint.data import Data


@dataclass(frozen=True)
class LintInput:
    """The loaded workspace, its files as written, and its templates. Rules about messages look at those named in `among`."""

    workspace: Workspace
    renderer: Renderer
    template_problems: Sequence[Problem] = ()
    among: Container[str] | None = None

    def category_of(self, template: str, channel: str) -> str:
        """Return what a template says of its category, or nothing."""
        return self.renderer.category(template, channel)

    @cached_property
    def journeys(self) -> dict[str, Mapping]:
        """The journeys' files as nodes, by name; only of those that could be read."""
        nodes = {name: self._node(f"journeys/{name}.yaml") for name in self.workspace.journeys}
        return {name: node for name, node in nodes.items() if node is not None}

    def _node(self, file: str) -> Mapping | None:
        text = self.workspace.texts.get(file)
        return None if text is None else read(file, text, Problems())

    @cached_property
    def mail_files(self) -> tuple[MailFile, ...]:
        """The files of mails, and of layouts."""
        root = self.workspace.root / "templates"
        found = [(root / LAYOUT, "")] + [(root / name, name) for name in self.mails]
        return tuple(
            file
            for folder, template in found
            for path in listed(folder)
            if path.suffix in (".mjml", ".html")
            and (file := read_mail_file(path, f"templates/{folder.name}/{path.name}", template))
        )

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The mails as made-up customers would get them."""
        return tuple(one for name in self.mails for one in samples(self.workspace, self.renderer, name))

    @cached_property
    def texts(self) -> tuple[Sample, ...]:
        """The SMS as made-up customers would get them."""
        names = self._on("sms")
        return tuple(one for name in names for one in samples(self.workspace, self.renderer, name, "sms"))

    @cached_property
    def mails(self) -> tuple[str, ...]:
        """The names of the templates for e-mail."""
        return self._on("email")

    def _on(self, channel: str) -> tuple[str, ...]:
        return tuple(
            name for name, folder in self.workspace.templates.items()
            if channel in folder.channels and (self.among is None or name in self.among)
        )  # fmt: skip

    def declared(self, attribute: str) -> Place:
        """Return where treue.yaml declares an attribute."""
        settings = self._node(SETTINGS_FILE)
        section = settings.get("customer") if settings else None
        key = section.key(attribute) if isinstance(section, Mapping) else None
        return key.place if key else Place(SETTINGS_FILE, 1, 1)

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
    def look(self, files: LintInput, data: Data | None) -> Iterator[Problem]:
        """Yield a problem for each finding."""

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

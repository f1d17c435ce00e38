"""A folder of files to a loaded workspace: everything that could be read, and every problem on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from treue.channel import own_adapters
from treue.errors import UnreadableFile, WorkspaceError
from treue.language.grammar import INVALID, Context, Reference, Schema, Shape, plain_name
from treue.language.journey import JOURNEY, Journey
from treue.language.problems import Place, Problem, Problems, did_you_mean, framed
from treue.language.scenario import TESTS, Scenario
from treue.language.settings import NAME, SEGMENT, SETTINGS, SegmentFile, Settings, declared_schema
from treue.language.source import MAX_BYTES, MAX_DEPTH, Mapping, read, read_any
from treue.language.words import Words
from treue.segments.needs import depth
from treue.segments.tree import Condition
from treue.workspace import scenarios
from treue.workspace.cycles import find_cycles
from treue.workspace.dependencies import circles, named_segments, ordered
from treue.workspace.files import (
    CHANNELS_FOLDER,
    SETTINGS_FILE,
    TemplateFolder,
    folder_faults,
    read_file,
    template_folders,
    yaml_files,
)


@dataclass
class Workspace:
    """A loaded workspace. Files with problems are missing from it; `problems` says why."""

    root: Path
    settings: Settings
    journeys: dict[str, Journey] = field(default_factory=dict)
    segments: dict[str, SegmentFile] = field(default_factory=dict)
    templates: dict[str, TemplateFolder] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    tests: dict[str, tuple[Scenario, ...]] = field(default_factory=dict)

    def require(self) -> Workspace:
        """Return the workspace itself if it has no problems, else raise WorkspaceError showing them all."""
        wrong = [problem for problem in self.problems if not problem.is_warning]
        if wrong:
            shown = "\n\n".join(framed(problem, self.texts.get(problem.place.file)) for problem in wrong)
            raise WorkspaceError(
                f"{shown}\n\n{len(wrong)} {'problem' if len(wrong) == 1 else 'problems'} in this workspace."
            )
        return self


def load(
    root: Path, words: Words, adapters: Callable[[], list[str]] | None = None, *, tests: bool = False
) -> Workspace:
    """Load the workspace in `root`, whose files may hold `words`.

    `adapters` names the installed channel adapters, where they are to be checked.

    With `tests`, the journeys' tests too; what runs journeys does without, and a mistake in a test stops nothing.
    """
    return _Loader(root, words, adapters).load(tests=tests)


class _Loader:
    def __init__(self, root: Path, words: Words, adapters: Callable[[], list[str]] | None) -> None:
        self.root, self.words, self.adapters = root, words, adapters
        self.problems = Problems()
        self.texts: dict[str, str] = {}
        self.references: list[Reference] = []
        self.schema = Schema()
        self.segment_paths = self._by_name(root / "segments")
        self.segments: dict[str, SegmentFile | None] = {}

    def load(self, *, tests: bool = False) -> Workspace:
        settings = self._settings()
        for folder, fault in folder_faults(self.root):
            message = f"Nothing in this folder can be read: {fault}."
            self.problems.add(
                Place(self._name(folder), 1, 1), "T106", message, "Put a folder here, or take it away."
            )
        templates = template_folders(self.root)
        for name in templates:
            self._check_name(name, f"templates/{name}", name)
        self._load_segments()
        paths = self._by_name(self.root / "journeys")
        journeys = {name: journey for name, path in paths.items() if (journey := self._journey(name, path))}
        tested = self._tests(journeys, set(paths), templates) if tests else {}
        self._check_references(templates, set(paths))
        self._check_cycles(journeys)
        segments = {name: found for name in self.segment_paths if (found := self.segments[name])}
        problems = self.problems.all()
        return Workspace(self.root, settings, journeys, segments, templates, problems, self.texts, tested)

    def _settings(self) -> Settings:
        node = self._read(self.root / SETTINGS_FILE)
        self.schema = declared_schema(node)
        context = Context(self.problems, words=self.words)
        found = INVALID if node is None else SETTINGS.parse(node, context)
        self.references += context.references
        return Settings("workspace", schema=self.schema) if found is INVALID else found

    def _load_segments(self) -> None:
        nodes = {name: self._read(path) for name, path in self.segment_paths.items()}
        uses = {name: named_segments(node) for name, node in nodes.items()}
        order = ordered(uses)
        for circle in circles(uses, order):
            place, shown = uses[circle[-1]][circle[0]], " → ".join([*circle, circle[0]])
            self.problems.add(place, "T308", f"These segments refer to each other in a circle: {shown}.")
        for name in [*order, *sorted(set(uses).difference(order))]:
            self._segment(name, nodes[name])

    def _segment(self, name: str, node: Mapping | None) -> None:
        found: SegmentFile | None = self._parse(self.segment_paths[name], node, SEGMENT)
        if found and depth(found.condition) > MAX_DEPTH:
            message = f"With the segments it names, this is nested more than {MAX_DEPTH} levels deep."
            self.problems.add(Place(self._name(self.segment_paths[name]), 1, 1), "T103", message)
            found = None
        self.segments[name] = found

    def _resolve(self, name: str, place: Place) -> Condition | None:
        if name not in self.segment_paths:
            hint = did_you_mean(name, self.segment_paths, "Segments live in segments/NAME.yaml.")
            self.problems.add(place, "T301", f"There is no segment `{name[:40]}`.", hint)
            return None
        found = self.segments.get(name)
        return found.condition if found else None

    def _journey(self, name: str, path: Path) -> Journey | None:
        found: Journey | None = self._parse(path, self._read(path), JOURNEY)
        return replace(found, name=name) if found else None

    def _tests(
        self, journeys: dict[str, Journey], names: set[str], templates: Container[str]
    ) -> dict[str, tuple[Scenario, ...]]:
        found: dict[str, tuple[Scenario, ...]] = {}
        for path in yaml_files(self.root / "journeys", tests=True):
            name, file = scenarios.tested(path.stem), self._name(path)
            if name not in names:
                hint = did_you_mean(name, names, "A test lies beside its journey, under the same name.")
                self.problems.add(Place(file, 1, 1), "T306", f"There is no journey `{name[:40]}`.", hint)
            text = self._text(path)
            node = None if text is None else read_any(file, text, self.problems)
            context = Context(self.problems, self.schema, self._resolve, words=self.words)
            parsed = () if node is None else TESTS.parse(node, context) or ()
            self.references += context.references
            for scenario in parsed if name in journeys else ():
                scenarios.check(
                    scenario, scenarios.under_test(name, scenario, journeys), templates, self.problems
                )
            found[name] = (*found.get(name, ()), *parsed)
        return found

    def _parse(self, path: Path, node: Mapping | None, shape: Shape) -> Any:
        before = len(self.problems)
        self._check_name(path.stem, self._name(path), path.name)
        if node is None:
            return None
        context = Context(self.problems, self.schema, self._resolve, words=self.words)
        found = shape.parse(node, context)
        self.references += context.references
        return None if found is INVALID or len(self.problems) > before else found

    def _by_name(self, folder: Path) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for path in yaml_files(folder):
            first = paths.setdefault(path.stem, path)
            if first is not path:
                message = f"There is {self._name(first)} already; a name is there once."
                self.problems.add(
                    Place(self._name(path), 1, 1), "T208", message, "Rename or delete one of them."
                )
        return paths

    def _check_name(self, name: str, file: str, written: str) -> None:
        if not re.fullmatch(NAME, name):
            near = plain_name(name)
            hint = f"Rename it to `{written.replace(name, near)}`." if near else None
            message = f"`{written}` is not a usable name: names are small letters, digits and dashes."
            self.problems.add(Place(file, 1, 1), "T208", message, hint)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _read(self, path: Path) -> Mapping | None:
        text = self._text(path)
        return None if text is None else read(self._name(path), text, self.problems)

    def _text(self, path: Path) -> str | None:
        name = self._name(path)
        try:
            data = read_file(path, MAX_BYTES)
            text = data.decode("utf-8-sig", "strict" if len(data) <= MAX_BYTES else "ignore")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8-sig").split("\n")
            place = Place(name, len(before), len(before[-1]) + 1)
            self.problems.add(place, "T106", "The file is not UTF-8 from here on.", "Save it as UTF-8.")
            return None
        except UnreadableFile as fault:
            hint = "Put a plain file here, or take it away."
            self.problems.add(Place(name, 1, 1), "T106", f"The file cannot be read: {fault}.", hint)
            return None
        self.texts[name] = text
        return text

    def _check_references(self, templates: dict[str, TemplateFolder], journeys: set[str]) -> None:
        for reference in self.references:
            if reference.kind == "template" and reference.name not in templates:
                hint = did_you_mean(
                    reference.name, templates, f"Make the folder templates/{reference.name}/."
                )
                self.problems.add(reference.place, "T302", f"There is no template `{reference.name}`.", hint)
            elif reference.kind == "journey" and reference.name not in journeys:
                near = did_you_mean(reference.name, journeys)
                self.problems.add(reference.place, "T306", f"There is no journey `{reference.name}`.", near)
            elif reference.kind == "variant":
                self._check_variant(reference, templates)
            elif reference.kind == "adapter" and self.adapters is not None:
                self._check_adapter(reference, self.adapters())

    def _check_adapter(self, reference: Reference, installed: list[str]) -> None:
        own = own_adapters(self.root / CHANNELS_FOLDER)
        if reference.name not in (*installed, *own):
            near = did_you_mean(reference.name, [*installed, *own])
            self.problems.add(
                reference.place, "T313", f"There is no channel adapter `{reference.name}`.", near
            )

    def _check_cycles(self, journeys: dict[str, Journey]) -> None:
        for place, circle in find_cycles(journeys):
            way = " → ".join([*circle, circle[0]])
            message = f"This circle has no wait, and nobody comes back in at one instant: {way}."
            self.problems.add(
                place, "T314", message, "Put a `wait` in between, or leave out `again: always`."
            )

    def _check_variant(self, reference: Reference, templates: dict[str, TemplateFolder]) -> None:
        folder = templates.get(reference.name)
        if folder and reference.detail not in folder.channels:
            form = "email.mjml" if reference.detail == "email" else f"{reference.detail}.txt"
            self.problems.add(
                reference.place,
                "T311",
                f"The template `{reference.name}` has nothing for `{reference.detail}`.",
                f"Write templates/{reference.name}/{form}, or send it on another channel.",
            )

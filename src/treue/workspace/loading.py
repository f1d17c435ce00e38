"""A folder of files to a loaded workspace: everything that could be read, and every problem on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from treue.errors import WorkspaceError
from treue.language.grammar import INVALID, Context, Reference, Schema, Shape
from treue.language.journey import JOURNEY, Journey
from treue.language.problems import Place, Problem, Problems, did_you_mean, framed
from treue.language.settings import NAME, SEGMENT, SETTINGS, SegmentFile, Settings, declared_schema
from treue.language.source import Mapping, read
from treue.segments.tree import Condition
from treue.workspace.files import SETTINGS_FILE, TemplateFolder, template_folders, yaml_files


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

    def require(self) -> Workspace:
        """Return the workspace itself if it has no problems, else raise WorkspaceError showing them all."""
        wrong = [problem for problem in self.problems if not problem.is_warning]
        if wrong:
            shown = "\n\n".join(framed(problem, self.texts.get(problem.place.file)) for problem in wrong)
            raise WorkspaceError(
                f"{shown}\n\n{len(wrong)} {'problem' if len(wrong) == 1 else 'problems'} in this workspace."
            )
        return self


def load(root: Path, adapters: Callable[[], list[str]] | None = None) -> Workspace:
    """Load the workspace in `root`. `adapters` names the installed channel adapters, where they are to be checked."""
    return _Loader(root, adapters).load()


class _Loader:
    def __init__(self, root: Path, adapters: Callable[[], list[str]] | None) -> None:
        self.root, self.adapters = root, adapters
        self.problems = Problems()
        self.texts: dict[str, str] = {}
        self.references: list[Reference] = []
        self.schema = Schema()
        self.segment_paths = {path.stem: path for path in yaml_files(root / "segments")}
        self.segments: dict[str, SegmentFile | None] = {}
        self.resolving: list[str] = []

    def load(self) -> Workspace:
        settings = self._settings()
        templates = template_folders(self.root)
        for name in self.segment_paths:
            self._segment(name)
        paths = {path.stem: path for path in yaml_files(self.root / "journeys")}
        journeys = {name: journey for name, path in paths.items() if (journey := self._journey(name, path))}
        self._check_references(templates, set(paths))
        segments = {name: found for name, found in self.segments.items() if found is not None}
        return Workspace(self.root, settings, journeys, segments, templates, self.problems.all(), self.texts)

    def _settings(self) -> Settings:
        node = self._read(self.root / SETTINGS_FILE)
        if node is None:
            return Settings("workspace")
        context = Context(self.problems)
        found = SETTINGS.parse(node, context)
        self.references += context.references
        self.schema = declared_schema(node) if found is INVALID else found.schema
        return Settings("workspace", schema=self.schema) if found is INVALID else found

    def _segment(self, name: str) -> Condition | None:
        if name not in self.segments:
            self.segments[name] = None
            self.resolving.append(name)
            self.segments[name] = self._parse(self.segment_paths[name], SEGMENT)
            self.resolving.pop()
        found = self.segments[name]
        return found.condition if found else None

    def _resolve(self, name: str, place: Place) -> Condition | None:
        if name not in self.segment_paths:
            hint = did_you_mean(name, self.segment_paths) or "Segments live in segments/NAME.yaml."
            self.problems.add(place, "T301", f"There is no segment `{name}`.", hint)
            return None
        if name in self.resolving:
            circle = " → ".join([*self.resolving[self.resolving.index(name) :], name])
            self.problems.add(place, "T308", f"These segments refer to each other in a circle: {circle}.")
            return None
        return self._segment(name)

    def _journey(self, name: str, path: Path) -> Journey | None:
        found: Journey | None = self._parse(path, JOURNEY)
        return replace(found, name=name) if found else None

    def _parse(self, path: Path, shape: Shape) -> Any:
        node = self._read(path)
        before = len(self.problems)
        if node is None:
            return None
        if not re.fullmatch(NAME, path.stem):
            self.problems.add(
                Place(self._name(path), 1, 1),
                "T208",
                f"`{path.stem}` is not a usable name.",
                "File names are small letters, digits and dashes.",
            )
        context = Context(self.problems, self.schema, self._resolve)
        found = shape.parse(node, context)
        self.references += context.references
        return None if found is INVALID or len(self.problems) > before else found

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _read(self, path: Path) -> Mapping | None:
        name = self._name(path)
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            self.problems.add(Place(name, 1, 1), "T106", "The file is not there.")
            return None
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            self.problems.add(Place(name, line, 1), "T106", "The file is not UTF-8.", "Save it as UTF-8.")
            return None
        except OSError as error:
            self.problems.add(Place(name, 1, 1), "T106", f"The file cannot be read: {error.strerror}.")
            return None
        self.texts[name] = text
        return read(name, text, self.problems)

    def _check_references(self, templates: dict[str, TemplateFolder], journeys: set[str]) -> None:
        for reference in self.references:
            if reference.kind == "template" and reference.name not in templates:
                hint = (
                    did_you_mean(reference.name, templates) or f"Make the folder templates/{reference.name}/."
                )
                self.problems.add(reference.place, "T302", f"There is no template `{reference.name}`.", hint)
            elif reference.kind == "journey" and reference.name not in journeys:
                near = did_you_mean(reference.name, journeys)
                self.problems.add(reference.place, "T306", f"There is no journey `{reference.name}`.", near)
            elif reference.kind == "variant":
                self._check_variant(reference, templates)
            elif (
                reference.kind == "adapter"
                and self.adapters is not None
                and reference.name not in self.adapters()
            ):
                near = did_you_mean(reference.name, self.adapters())
                self.problems.add(
                    reference.place, "T313", f"There is no channel adapter `{reference.name}`.", near
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

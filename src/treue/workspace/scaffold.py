"""A new workspace: chosen journeys of the reference workspace, and exactly what they refer to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from treue.errors import UsageError
from treue.language.journey import Journey
from treue.language.problems import Problems, did_you_mean
from treue.language.scenario import Agrees, Changes, Does, Scenario, Withdraws
from treue.language.schema import json_schema
from treue.language.source import Items, Scalar, read
from treue.language.source import Mapping as YamlMapping
from treue.language.steps import message_of, walk
from treue.language.words import Words
from treue.segments.tree import Condition, InSegment
from treue.workspace.files import LAYOUT, SCHEMA_FILE, SETTINGS_FILE, TEMPLATE_FORMS
from treue.workspace.workspace import Workspace

GITIGNORE = """\
# What a machine keeps beside the files: the inbox, logs, the secret that signs links.
.treue/
# The database, where it is SQLite.
*.db
*.db-shm
*.db-wal
# Rows an import set aside.
*.rejected.csv
*.rejected.jsonl
.env
"""

HEADER = """\
# yaml-language-server: $schema=treue.schema.json
# The settings of this workspace. Put your own name, address and sender here.
"""

_NAMED = re.compile(r"\b(customer|event)\.([A-Za-z_]\w*)")


@dataclass
class Needs:
    """What journeys refer to, by name. `events` are those they react to, look at or record."""

    segments: set[str] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    channels: set[str] = field(default_factory=set)
    journeys: set[str] = field(default_factory=set)


def needs(workspace: Workspace, names: Iterable[str]) -> Needs:
    """Return what these journeys and their tests refer to, also through segments, templates and each other.

    Raises UsageError where there is no such journey.
    """
    found = Needs()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in workspace.journeys:
            near = did_you_mean(name, workspace.journeys)
            raise UsageError(f"There is no journey `{name}` to begin with. {near}")
        if name not in found.journeys:
            found.journeys.add(name)
            _of_journey(workspace.journeys[name], found, waiting)
            for scenario in workspace.tests.get(name, ()):
                _of_test(scenario, found)
    for name in found.templates:
        _of_template(workspace.templates[name].path, found)
    return found


def files(workspace: Workspace, needed: Needs, name: str, words: Words) -> dict[str, bytes]:
    """Return the files of a new workspace called `name`, by their path in it, with the schema of its `words`."""
    texts = {
        SETTINGS_FILE: _settings(workspace.texts[SETTINGS_FILE], needed, name).encode(),
        SCHEMA_FILE: (json.dumps(json_schema(words), ensure_ascii=False, indent=2) + "\n").encode(),
        ".gitignore": GITIGNORE.encode(),
    }
    return texts | {
        path.relative_to(workspace.root).as_posix(): path.read_bytes() for path in _sources(workspace, needed)
    }


def _sources(workspace: Workspace, needed: Needs) -> Iterator[Path]:
    for name in sorted(needed.journeys):
        yield workspace.root / "journeys" / f"{name}.yaml"
        test = workspace.root / "journeys" / f"{name}.test.yaml"
        if test.is_file():
            yield test
    for name in sorted(needed.segments):
        yield workspace.root / "segments" / f"{name}.yaml"
    for name in (LAYOUT, *sorted(needed.templates)):
        folder = workspace.root / "templates" / name
        yield from (path for path in sorted(folder.iterdir()) if path.is_file())


# --- what is referred to ------------------------------------------------------------------------------------


def _of_journey(journey: Journey, found: Needs, waiting: list[str]) -> None:
    enter, goal = journey.enter, journey.goal
    found.events.update((*enter.trigger.events(), *([goal.event] if goal else [])))
    for name, condition in enter.trigger.segments():
        _of_condition(InSegment(name, condition), found, waiting)
    found.attributes.update(enter.trigger.reads())
    _of_condition(enter.when, found, waiting)
    for exit_ in journey.exits:
        found.events.update([exit_.event] if exit_.event else [])
        _of_condition(exit_.condition, found, waiting)
    for step in walk(journey.steps):
        for condition in step.conditions():
            _of_condition(condition, found, waiting)
        if message := message_of(step):
            found.templates.add(message.template)
            found.channels.update(message.channels)
        found.attributes.update((*step.sets(), *step.reads()))
        found.events.update(step.emits())
        waiting += step.starts()


def _of_test(scenario: Scenario, found: Needs) -> None:
    person = scenario.customer
    found.attributes.update(name for name, _ in person.attributes)
    found.channels.update([*(channel for channel, _ in person.consents), *person.suppressed])
    for act in (*scenario.history, *(scenario.timeline or ())):
        match act:
            case Does():
                found.events.add(act.event)
            case Changes():
                found.attributes.update(name for name, _ in act.values)
            case Agrees() | Withdraws():
                found.channels.update(act.channels)


def _of_condition(condition: Condition | None, found: Needs, waiting: list[str]) -> None:
    if condition is None:
        return
    mentions = condition.mentions()
    found.segments |= mentions.segments
    found.templates |= mentions.templates
    found.events |= mentions.events
    found.attributes |= mentions.attributes
    found.channels |= mentions.channels
    waiting += mentions.journeys


def _of_template(folder: Path, found: Needs) -> None:
    for path in folder.iterdir():
        if path.is_file() and path.suffix in TEMPLATE_FORMS:
            named = _NAMED.findall(path.read_text(encoding="utf-8"))
            found.attributes.update(name for kind, name in named if kind == "customer")


# --- treue.yaml ---------------------------------------------------------------------------------------------


def _settings(text: str, needed: Needs, name: str) -> str:
    """Return the reference settings without the declarations nobody needs; what stays keeps its comments."""
    node = read(SETTINGS_FILE, text, Problems())
    assert node is not None
    kept = {
        "channels": needed.channels | {"email"},
        "customer": needed.attributes,
        "events": needed.events | _mapped(node),
        "quiet_hours": needed.channels,
    }
    unneeded = {line for part, names in kept.items() for line in _lines_without(node, part, names)}
    unneeded.update(_limits_of_other_channels(node, needed.channels | {"email"}))
    lines = [line for n, line in enumerate(text.splitlines(), start=1) if n not in unneeded]
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    body = re.sub(r"(?m)^workspace: .*$", f"workspace: {name}", "\n".join(lines))
    return HEADER + body + "\n"


def _mapped(node: YamlMapping) -> set[str]:
    """Return the events that the sources of webhooks lead to."""
    sources = node.get("sources")
    found: set[str] = set()
    for _, source in sources.entries if isinstance(sources, YamlMapping) else ():
        mapped = source.get("map") if isinstance(source, YamlMapping) else None
        if isinstance(mapped, YamlMapping):
            found.update(str(getattr(target, "value", "")) for _, target in mapped.entries)
    return found


def _lines_without(node: YamlMapping, part: str, names: set[str]) -> Iterator[int]:
    """Yield the lines of a mapping's entries that are not among the names; an entry is one line.

    Where none is left, also the line of the mapping's own key and the comment above it.
    """
    mapping, key = node.get(part), node.key(part)
    if not isinstance(mapping, YamlMapping) or key is None:
        return
    unneeded = [entry.place.line for entry, _ in mapping.entries if entry.text not in names]
    yield from unneeded
    if len(unneeded) == len(mapping.entries):
        yield from (key.place.line, key.place.line - 1)


def _limits_of_other_channels(node: YamlMapping, channels: set[str]) -> Iterator[int]:
    """Yield the lines of limits on channels that the new workspace does not have."""
    limits = node.get("limits")
    for limit in limits.nodes if isinstance(limits, Items) else ():
        channel = limit.get("channel") if isinstance(limit, YamlMapping) else None
        if isinstance(channel, Scalar) and channel.text not in channels:
            yield limit.place.line


def write(folder: Path, made: Mapping[str, bytes]) -> None:
    """Write files into a folder. Raises UsageError, and writes nothing, where one is there already."""
    taken = [name for name in made if (folder / name).exists()]
    if taken:
        raise UsageError(f"{folder / taken[0]} is there already; name an empty folder. Nothing was written.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder. Nothing was written.")
    for name, content in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

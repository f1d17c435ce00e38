"""Whether the workspace's files load."""

from __future__ import annotations

from collections.abc import Iterator

from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings
from treue.language.problems import Problem
from treue.workspace.files import SETTINGS_FILE
from treue.workspace.workspace import Workspace

_REMEDY = "`treue check` shows each with its place."


def settings_are_read(workspace: Workspace) -> bool:
    """Whether what `treue.yaml` says is known."""
    return not any(one.place.file == SETTINGS_FILE and not one.is_warning for one in workspace.problems)


def check_files(surroundings: Surroundings) -> Iterator[Finding]:
    """Look for problems in the settings, journeys, segments and templates."""
    workspace = surroundings.workspace
    problems = [*workspace.problems, *(_of_templates(workspace) if settings_are_read(workspace) else ())]
    faults = [one for one in problems if not one.is_warning]
    doubts = [one for one in problems if one.is_warning]
    if faults:
        yield wrong(f"{_count(len(faults), 'problem')} in the files, the first: {_shown(faults[0])}", _REMEDY)
    if doubts:
        yield warning(
            f"{_count(len(doubts), 'warning')} in the files, the first: {_shown(doubts[0])}", _REMEDY
        )
    if not faults:
        there = (
            _count(len(workspace.journeys), "journey"),
            _count(len(workspace.segments), "segment"),
            _count(len(workspace.templates), "template"),
        )
        yield well(f"The settings, {there[0]}, {there[1]} and {there[2]} load.")


def _of_templates(workspace: Workspace) -> list[Problem]:
    from treue.render.templates.workspace_check import template_problems

    return template_problems(workspace)


def _shown(problem: Problem) -> str:
    return f"{problem.place.file}:{problem.place.line}: {problem.message}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else what + 's'}"

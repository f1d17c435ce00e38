"""A workspace, read with the installed words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from treue.vocabulary.registry import WORDS
from treue.workspace import workspace
from treue.workspace.workspace import Workspace


def load(root: Path, adapters: Callable[[], list[str]] | None = None, *, tests: bool = False) -> Workspace:
    """Load the workspace in `root`. `adapters` names the installed channel adapters, where they are to be checked.

    With `tests`, the journeys' tests too; what runs journeys does without, and a mistake in a test stops nothing.
    """
    return workspace.load(root, WORDS, adapters, tests=tests)

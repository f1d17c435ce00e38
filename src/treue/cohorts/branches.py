"""Cohorts that part: whose way is in `cohort.branch` goes on by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, literal
from sqlalchemy.sql.elements import ColumnElement

from treue.cohorts.cohort import constant_json, json_object, move, note_cohort
from treue.cohorts.scene import Scene, Statement
from treue.language.steps import Stage, Way
from treue.model.states import Decision
from treue.model.tables import cohort


def way_name(ways: Sequence[Way]) -> ColumnElement[Any]:
    """Return the name of each one's way, `none` where there is none."""
    return case({n: way.name for n, way in enumerate(ways)}, value=cohort.c.branch, else_=literal("none"))


def note_ways(scene: Scene, stage: Stage, ways: Sequence[Way], **more: Any) -> Statement:
    """Return what notes each one's way, with further facts."""
    constant = {name: constant_json(scene, value) for name, value in more.items()}
    detail = json_object(scene.dialect, way=way_name(ways), **constant)
    return Statement(
        "note the way", note_cohort(scene, stage, Decision.branch, detail, cohort.c.note.is_(None))
    )


def go_on_by_ways(scene: Scene, stage: Stage, ways: Sequence[Way]) -> list[Statement]:
    """Return what sends each on by its way, those without one past the stage."""
    moves = [
        statement
        for n, way in enumerate(ways)
        for statement in move(scene, way.to, cohort.c.branch == n, f"on through {way.name}")
    ]
    return [*moves, *move(scene, stage.to, cohort.c.branch.is_(None), "on past it")]

"""What `split` does to a cohort: draw each one's way, keep the draw, send each on by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Connection, literal, select, update

from treue.clock import hour_of
from treue.cohorts.branches import go_on_by_ways, note_ways, way_name
from treue.cohorts.cohort import insert_new
from treue.cohorts.draws import split_purpose, way_sql
from treue.cohorts.player import Splitter
from treue.cohorts.scene import Scene, Statement, Version
from treue.model.tables import cohort, customer, draw
from treue.vocabulary.steps.split import learning
from treue.vocabulary.steps.split.word import Split


class SplitPlayer(Splitter[Split]):
    """Plays `split`."""

    def is_constant(self, stage: Split) -> bool:
        """Whether the shares are fixed, and not learnt from pass to pass."""
        return not stage.learns

    def goes_by_the_hour(self, stage: Split) -> bool:
        """Whether shares are learnt: they are those of what was known at the beginning of the hour."""
        return stage.learns

    def act(self, scene: Scene, stage: Split) -> list[Statement]:
        """Return what draws each one's way and keeps it."""
        purpose = split_purpose(scene.salt, scene.version.name, scene.version.first_name(stage))
        weights = _present_shares(scene, stage) if stage.learn else [way.weight for way in stage.ways]
        way = way_sql(customer.c.draw, purpose, weights)
        pick = (
            update(cohort)
            .values(branch=way)
            .where(cohort.c.customer_id == customer.c.id, cohort.c.note.is_(None))
        )
        learnt = {"shares": _told(stage, weights)} if stage.learn else {}
        keep = insert_new(
            scene.dialect,
            draw,
            ["enrollment_id", "step_id", "visit", "arm", "at"],
            select(
                cohort.c.enrollment_id,
                literal(scene.version.number(stage), BigInteger),
                cohort.c.visit,
                way_name(stage.ways),
                cohort.c.effective_at,
            ).where(cohort.c.note.is_(None)),
        )
        return [
            Statement("which way", pick),
            Statement("keep the way", keep),
            note_ways(scene, stage, stage.ways, **learnt),
        ]

    def go_on(self, scene: Scene, stage: Split) -> list[Statement]:
        """Return what sends each on by its way."""
        return go_on_by_ways(scene, stage, stage.ways)

    def weights(self, stage: Split) -> Sequence[int]:
        """Return the declared weights, or the shares as long as nothing has been learnt."""
        return learning.declared(stage) if stage.learns else [way.weight for way in stage.ways]

    def shares(
        self, connection: Connection, version: Version, stage: Split, salt: str, now: datetime
    ) -> tuple[int, ...]:
        """Return the shares of a split that learns, as they are in the hour of `now`."""
        return learning.shares(connection, version, stage, salt, hour_of(now))


def _present_shares(scene: Scene, stage: Split) -> tuple[int, ...]:
    """Return the shares of a learning split in the cohort's hour; in SQL to be shown, those at the start."""
    if scene.connection is None or scene.first is None:
        return learning.declared(stage)
    hour = hour_of(scene.first)

    def look(connection: Connection = scene.connection) -> tuple[datetime, tuple[int, ...]]:
        return hour, learning.shares(connection, scene.version, stage, scene.salt, hour)

    _, shares = scene.version.kept.while_good(("shares", stage.id), look, lambda found: found[0] == hour)
    return shares


def _told(stage: Split, shares: Sequence[int]) -> dict[str, float]:
    return {way.name: part / learning.WHOLE for way, part in zip(stage.ways, shares, strict=True)}


PLAYERS = {"split": SplitPlayer()}

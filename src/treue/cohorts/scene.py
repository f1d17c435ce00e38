"""Where a stage is played: the version, the time, the database.

A customer's time is logical: what is due at 09:00 and done at 09:04 happened at 09:00, so waits do not drift and
results do not depend on how often passes run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import BigInteger, Connection, Executable, bindparam, cast

from treue.clock import Duration
from treue.cohorts.kept import Kept
from treue.language.step_rows import DEFAULT_HOLD
from treue.language.steps import Stage
from treue.model.types import Instant
from treue.segments.sql import Moment

NOW = bindparam("now", type_=Instant())
"""The pass's time, given when a statement is run: so that most statements are made once for each version."""

DUE_BY = bindparam("due_by", type_=Instant())
"""Up to when things are done: the pass's time, or just before that of a schedule or a day."""

SEQ = bindparam("first_place", type_=BigInteger())
"""The first of as many numbers as a batch may need for what it brings about; see `store/sequence.py`."""

MICROS = cast(NOW, BigInteger)
"""The pass's time to calculate with."""

BEFORE = bindparam("until", type_=Instant())
"""The end of the stretch of time of those who are asked conditions; see `Scene.before`."""


class Plan(Protocol):
    """What a stage needs to know of the plan it stands in."""

    @property
    def basis(self) -> str | None:
        """The legal ground of the journey's messages."""

    @property
    def priority(self) -> int:
        """Which journey's message wins where only one may go, 0 to 100."""

    @property
    def stages(self) -> Sequence[Stage]:
        """Its stages, in order."""

    @property
    def has_several_stays(self) -> bool:
        """Whether a customer may be inside more than once at a time."""

    @property
    def skips(self) -> bool:
        """Whether customers may be sent nothing for a while, since a moment to wait for has passed."""

    def stage(self, id_: str) -> Stage:
        """Return the stage with an id."""


class Version(Protocol):
    """What a stage needs to know of the version it is played for."""

    @property
    def plan(self) -> Plan:
        """The plan."""

    @property
    def journey_id(self) -> int:
        """The journey's number in the store."""

    @property
    def version_id(self) -> int:
        """The version's number in the store."""

    @property
    def live_since(self) -> datetime | None:
        """When the journey went live; what lies before that starts nobody."""

    @property
    def kept(self) -> Kept:
        """What has been made for it, such as statements."""

    @property
    def name(self) -> str:
        """The journey's name."""

    def number(self, stage: Stage | str | None) -> int | None:
        """Return the number of a stage, or None for the end of the journey."""

    def first_name(self, stage: Stage) -> str:
        """Return the id a stage had when it was first published: what draws are made from."""


class Renders(Protocol):
    """Renders values for a customer."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """The declared attributes' types."""

    @property
    def properties(self) -> Mapping[str, Mapping[str, str]]:
        """The declared events' properties' types."""

    def values(
        self,
        values: Mapping[str, Any],
        row: Any,
        scene: Scene,
        types: Mapping[str, str],
        *,
        only_templates: bool,
    ) -> dict[str, Any]:
        """Return the values for a row of `each_of_cohort`, each fitted to its type.

        What cannot be rendered or does not fit is left out; so is what is no template, with `only_templates`.
        """


@dataclass(frozen=True)
class Statement:
    """One SQL statement and, in a few words, what it is for. `takes` marks the one that takes the cohort."""

    says: str
    sql: Executable
    takes: bool = False


@dataclass(frozen=True)
class Deed:
    """What a stage does with its cohort that is more than a statement, in its turn among them."""

    says: str
    act: Callable[[Scene], None]


@dataclass(frozen=True)
class Scene:
    """Where a stage is played: which version, when, on which database, and how many customers at a time.

    `connection` is None where the SQL is only to be shown. `renders` fills in templates; without it they are left out.
    `hold` is how long a message waits for what may still be told of its customer.
    """

    version: Version
    now: datetime
    dialect: str
    zone: str
    salt: str
    connection: Connection | None = None
    batch: int = 5_000
    renders: Renders | None = None
    hold: Duration = DEFAULT_HOLD
    first: datetime | None = None
    before: datetime | None = None
    """Only those due from `first` on and before this are taken, where conditions are asked: a stretch of time in which they
    ask everybody in the same words."""
    asked_at: Moment | None = None
    """What conditions are made into SQL for, where that is not the present."""

    @property
    def moment(self) -> Moment:
        """What conditions are made into SQL for."""
        return self.asked_at or self.present

    @property
    def present(self) -> Moment:
        """When and where conditions are looked at; each customer is asked as of their own time."""
        return Moment(self.first or self.now, self.zone)

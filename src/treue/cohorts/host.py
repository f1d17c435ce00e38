"""What brings a trigger's customers to the door: each trigger's SQL face has a host for each of its kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, delete, insert, select, update

from treue.cohorts.scene import Version
from treue.language.triggers import Trigger
from treue.model.faces import face
from treue.model.tables import cohort, journey
from treue.segments.explain import Explanation
from treue.segments.sql import Moment, members
from treue.segments.tree import Condition
from treue.store import dialect

T = TypeVar("T", bound=Trigger)


@dataclass(frozen=True)
class Note:
    """One thing that kept a customer out of a journey (or did not): a sentence, and what was compared."""

    sentence: str
    holds: bool
    compared: Explanation | None = None


MISSED_FOR_LONG = timedelta(days=7)
"""How far back a time of a schedule that nobody looked at still comes by itself; of those before it, the last one does."""


class Inquiry(Protocol):
    """Asks about one customer, within one reading transaction."""

    @property
    def connection(self) -> Connection:
        """The connection."""

    @property
    def customer_id(self) -> int:
        """The customer's number in the store."""

    @property
    def zone(self) -> str:
        """The workspace's time zone."""

    @property
    def now(self) -> datetime:
        """The time as of which is asked."""

    def look(self, condition: Condition, at: datetime) -> Explanation:
        """Return how a condition looks for the customer as of a time."""

    def told(self, at: datetime) -> str:
        """Return an instant as the workspace's clock shows it."""


class Host(ABC, Generic[T]):
    """Brings the customers of one kind of trigger to the door, and says of others why they have not come."""

    comes_by: ClassVar[Literal["event", "hand", "time", "state"]]
    """What customers come by: events are routed to the door; for times and states somebody has to look."""
    asks_everybody: ClassVar[bool] = False
    """Whether a condition is asked of everybody at the times at which customers come, one time after the other."""
    stretch: ClassVar[timedelta | None] = None
    """How long a stretch of missed times is looked through at once; None: all of it, however long."""
    work: ClassVar[str] = ""
    """What the looking is called where it fails."""

    def bring(self, connection: Connection, version: Version, trigger: T, now: datetime, zone: str) -> None:
        """Bring to the door whose time has come since the last look, or whose state has changed."""
        raise NotImplementedError(f"Nobody looks for those who come by {self.comes_by}.")

    def bring_again(self, connection: Connection, version: Version, trigger: T, zone: str) -> None:
        """Bring touched callers anew as far as was looked ahead: what foretold when they come has changed; see `Trigger.foretells`."""
        raise NotImplementedError("Nothing foretells who comes.")

    def next_time(
        self, connection: Connection, version: Version, trigger: T, now: datetime, zone: str
    ) -> datetime | None:
        """Return the first instant after `now` at which anybody's time comes, None where that cannot be foreseen."""
        return None

    def next_look(
        self, version: Version, trigger: T, looked: datetime, zones: Sequence[str], zone: str
    ) -> datetime:
        """Return when times that were looked through until `looked` are to be looked at again, told by the clocks alone.

        `zones` are those customers live in. Until then an idle journey costs a pass nothing; here each pass looks.
        """
        return looked

    def pass_over(self, trigger: T, looked: datetime, now: datetime, zone: str) -> datetime:
        """Return from when on times are looked at that were missed since `looked`: what lies before is passed over."""
        return looked

    def stands(self, trigger: T, stay: Any, zone: str, dialect: str) -> ColumnElement[bool]:
        """Return whether what a stay is for is still what the customer's record says; see `Trigger.follows`."""
        raise NotImplementedError("What a stay is for does not change.")

    @abstractmethod
    def outside(self, inquiry: Inquiry, version: Version, trigger: T) -> tuple[list[Note], datetime]:
        """Return why a customer has never come, and the time at which the entry's `if` is to be looked at."""


def host_of(trigger: Trigger) -> Host[Any]:
    """Return the host of a trigger."""
    hosts: Mapping[str, Host[Any]] = face(type(trigger), "sql").HOSTS
    return hosts[trigger.kind]


# --- what hosts share ---------------------------------------------------------------------------------------


def looked_until(connection: Connection, version: Version) -> datetime:
    """Return until when a journey's schedule or days have been looked through."""
    return all_looked_until(connection)[version.journey_id]


def all_looked_until(connection: Connection) -> dict[int, datetime]:
    """Return until when each journey's schedule or days have been looked through, by its number."""
    return {
        row.id: max(row.scheduled_until or row.live_since, row.live_since)
        for row in connection.execute(_LOOKED)
    }


_LOOKED = select(journey.c.id, journey.c.scheduled_until, journey.c.live_since)


def has_looked(connection: Connection, version: Version, until: datetime) -> None:
    """Remember until when a journey's schedule or days have been looked through."""
    connection.execute(
        update(journey).values(scheduled_until=until).where(journey.c.id == version.journey_id)
    )


_CLEAR = delete(cohort)


def gather(connection: Connection, version: Version, condition: Condition, moment: Moment) -> None:
    """Fill the cohort with everyone in a trigger's segment.

    They have no stay yet, so `enrollment_id` holds the customer's number, too.
    """
    make = partial(_gathering, condition, connection.dialect.name)
    statement, values = version.kept.asking("segment", [condition], moment, make)
    connection.execute(_CLEAR)
    dialect.count_many(connection, cohort, connection.execute(statement, values).rowcount)


def _gathering(condition: Condition, name: str, moment: Moment) -> Executable:
    found = members(condition, moment, name).subquery("found")
    columns = select(found.c.customer_id, found.c.customer_id)
    into = insert(cohort).from_select(["enrollment_id", "customer_id"], columns)
    return into.execution_options(preserve_rowcount=True)

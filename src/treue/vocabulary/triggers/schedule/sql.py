"""Whose schedule has come: everybody in a segment at a time of a cron expression."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from sqlalchemy import BigInteger, Connection, and_, insert, literal, select

from treue.clock import TICK
from treue.cohorts.hindsight import everybody, in_their_time
from treue.cohorts.host import MISSED_FOR_LONG, Host, Inquiry, Note, gather, has_looked, looked_until
from treue.cohorts.scene import Version
from treue.model.states import ArrivalKind
from treue.model.tables import arrival, cohort, customer
from treue.model.types import Instant
from treue.segments.sql import Moment
from treue.segments.tree import InSegment
from treue.vocabulary.triggers.schedule.word import ScheduleTrigger

_MINUTE = timedelta(minutes=1)


class ScheduleHost(Host[ScheduleTrigger]):
    """Brings the members of a segment to the door at certain times."""

    comes_by = "time"
    asks_everybody = True
    work = "schedule"

    def bring(
        self, connection: Connection, version: Version, trigger: ScheduleTrigger, now: datetime, zone: str
    ) -> None:
        """Bring everybody in the segment as of the first time that has come since the last look, by what was known then."""
        due = next_occurrence(trigger.schedule, looked_until(connection, version), zone)
        if due > now:
            return
        with in_their_time(connection, everybody(due)):
            gather(connection, version, trigger.segment, Moment(due, zone))
        query = select(
            literal(version.journey_id, BigInteger),
            cohort.c.customer_id,
            literal(ArrivalKind.schedule.value),
            literal(due, Instant),
            literal(due, Instant),
        ).join(customer, and_(customer.c.id == cohort.c.customer_id, customer.c.created_at <= due))
        columns = ["journey_id", "customer_id", "kind", "at", "effective_at"]
        connection.execute(insert(arrival).from_select(columns, query))
        has_looked(connection, version, due)

    def next_time(
        self, connection: Connection, version: Version, trigger: ScheduleTrigger, now: datetime, zone: str
    ) -> datetime:
        """Return the next time of the cron expression."""
        return next_occurrence(trigger.schedule, now, zone)

    def next_look(
        self, version: Version, trigger: ScheduleTrigger, looked: datetime, zones: Sequence[str], zone: str
    ) -> datetime:
        """Return the first time of the cron expression that has not been looked at."""
        return next_occurrence(trigger.schedule, looked, zone)

    def pass_over(self, trigger: ScheduleTrigger, looked: datetime, now: datetime, zone: str) -> datetime:
        """Let the times that were missed for long come once, as the last of them."""
        last = last_occurrence(trigger.schedule, now - MISSED_FOR_LONG, zone)
        return max(looked, last - TICK)

    def outside(
        self, inquiry: Inquiry, version: Version, trigger: ScheduleTrigger
    ) -> tuple[list[Note], datetime]:
        """Return whether they are in the segment, and when it is looked at."""
        found = inquiry.look(InSegment(trigger.segment_name, trigger.segment), inquiry.now)
        note = Note(
            f"Is {'' if found.holds else 'not '}in segment {trigger.segment_name}.", found.holds, found
        )
        return [note, Note(f"Enters at {trigger.schedule} (cron).", True)], inquiry.now


def next_occurrence(cron: str, after: datetime, zone: str) -> datetime:
    """Return the first time of a cron expression after an instant, in UTC.

    `cronsim` moves a time that a clock change skips to the next valid one, and lets one that occurs twice come once.
    """
    return next(CronSim(cron, after.astimezone(ZoneInfo(zone)))).astimezone(UTC)


def last_occurrence(cron: str, until: datetime, zone: str) -> datetime:
    """Return the last time of a cron expression that is no later than an instant, in UTC."""
    local = (until + _MINUTE).astimezone(ZoneInfo(zone))
    before = (one.astimezone(UTC) for one in CronSim(cron, local, reverse=True))
    return next(one for one in before if one <= until)


HOSTS = {"schedule": ScheduleHost()}

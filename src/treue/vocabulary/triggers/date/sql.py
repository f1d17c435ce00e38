"""Whose day has come: the days of a window are few, and so are zones; customers are found in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from treue.cohorts.host import Host, Inquiry, Note, has_looked, looked_until
from treue.cohorts.local_time import own_day
from treue.cohorts.scene import Version
from treue.model.tables import customer
from treue.vocabulary.triggers.date import instants, occurrences
from treue.vocabulary.triggers.date.again import TOUCHED, forget, touched_since
from treue.vocabulary.triggers.date.word import DateTrigger


class DateHost(Host[DateTrigger]):
    """Brings customers to the door on the day that an attribute of theirs shows."""

    comes_by = "time"
    stretch = timedelta(days=61)
    work = "date"

    def bring(
        self, connection: Connection, version: Version, trigger: DateTrigger, now: datetime, zone: str
    ) -> None:
        """Create arrivals for customers whose day has come since the last look."""
        looked = looked_until(connection, version)
        if trigger.date.by_instant:
            instants.bring(connection, version, trigger.date, looked, now)
        else:
            occurrences.bring(connection, version, trigger.date, looked, now, zone)
        has_looked(connection, version, now)

    def bring_again(self, connection: Connection, version: Version, trigger: DateTrigger, zone: str) -> None:
        """Create anew the arrivals of touched callers between what touched them and the last look."""
        touched, looked = touched_since(connection), looked_until(connection, version)
        if touched is None or touched >= looked:
            return
        forget(connection, version)
        if trigger.date.by_instant:
            instants.bring(connection, version, trigger.date, touched, looked, TOUCHED)
        else:
            occurrences.bring(connection, version, trigger.date, touched, looked, zone, TOUCHED)

    def next_look(
        self, version: Version, trigger: DateTrigger, looked: datetime, zones: Sequence[str], zone: str
    ) -> datetime:
        """Return when a day begins next, wherever customers live; for instants, the next minute."""
        if trigger.date.by_instant:
            return instants.next_beginning(looked)
        return occurrences.next_beginning(version, trigger.date, looked, sorted({zone, *zones}))

    def next_time(
        self, connection: Connection, version: Version, trigger: DateTrigger, now: datetime, zone: str
    ) -> datetime:
        """Return when anybody's day or instant comes next; where that is far off, when to look again."""
        if trigger.date.by_instant:
            return instants.next_instant(connection, version, trigger.date, now)
        return occurrences.next_day(connection, version, trigger.date, now, zone)

    def stands(self, trigger: DateTrigger, stay: Any, zone: str, dialect: str) -> ColumnElement[bool]:
        """Return whether the occurrence that a stay is for is one of the customer's date."""
        if trigger.date.by_instant:
            return instants.is_occurrence(trigger.date, stay.c.per, dialect)
        return occurrences.is_occurrence(trigger.date, stay.c.per, zone, dialect)

    def outside(
        self, inquiry: Inquiry, version: Version, trigger: DateTrigger
    ) -> tuple[list[Note], datetime]:
        """Return which day it is for them."""
        on = trigger.date
        named = own_day(on.attribute, on.type, inquiry.zone, inquiry.connection.dialect.name)
        day = inquiry.connection.scalar(select(named).where(customer.c.id == inquiry.customer_id))
        sentence = f"{on.attribute} is {day}, whose time has not come since the journey went live."
        missing = f"{on.attribute} is not known, or no date."
        return [Note(sentence if day else missing, False)], inquiry.now


HOSTS = {"date": DateHost()}

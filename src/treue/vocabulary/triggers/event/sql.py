"""Whom events bring: the events are routed to the door, so that there is nobody to look for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from treue.cohorts.host import Host, Inquiry, Note
from treue.cohorts.scene import Version
from treue.model.tables import event
from treue.segments.sql import Moment, event_fits
from treue.vocabulary.triggers.event.word import EventTrigger


class EventHost(Host[EventTrigger]):
    """Explains event triggers; routing itself creates their arrivals."""

    comes_by = "event"

    def outside(
        self, inquiry: Inquiry, version: Version, trigger: EventTrigger
    ) -> tuple[list[Note], datetime]:
        """Return whether the event has happened, since when it counts, and whether it fits."""
        name = " or ".join(trigger.events())
        assert version.live_since is not None
        fits = event_fits(
            trigger.where, event, inquiry.connection.dialect.name, Moment(inquiry.now, inquiry.zone)
        )
        query = (
            select(event.c.at, event.c.properties, event.c.routed_at, fits.label("fits"))
            .where(event.c.customer_id == inquiry.customer_id, event.c.name.in_(trigger.events()))
            .order_by(event.c.at.desc())
        )
        rows = inquiry.connection.execute(query).all()
        if not rows:
            return [Note(f"{name} has never happened to them.", False)], inquiry.now
        since = [row for row in rows if row.at >= version.live_since]
        if not since:
            sentence = (
                f"{name} last happened {inquiry.told(rows[0].at)}, before the journey went live "
                f"({inquiry.told(version.live_since)}); what lies before that starts nobody."
            )
            return [Note(sentence, False)], inquiry.now
        good = [row for row in since if row.fits]
        if not good:
            told = ", ".join(
                f"{prop.name} {since[0].properties.get(prop.name, 'missing')}" for prop in trigger.where
            )
            sentence = (
                f"{name} happened {inquiry.told(since[0].at)}, but does not fit {trigger.words()}: {told}."
            )
            return [Note(sentence, False)], since[0].at
        sentence = f"{name} happened {inquiry.told(good[0].at)}" + (
            "." if good[0].routed_at else " and waits for the next pass to look at it."
        )
        return [Note(sentence, good[0].routed_at is not None)], good[0].at


HOSTS = {"event": EventHost()}

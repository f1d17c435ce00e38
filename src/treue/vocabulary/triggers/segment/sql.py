"""Who has joined a segment: the engine keeps its members, and looks at whoever may have joined or left."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from treue.cohorts.host import Host, Inquiry, Note
from treue.cohorts.scene import Version
from treue.model.tables import membership
from treue.segments.tree import InSegment
from treue.vocabulary.triggers.segment.word import SegmentTrigger


class SegmentHost(Host[SegmentTrigger]):
    """Explains segment triggers; looks bring those who join."""

    comes_by = "state"
    work = "segment"

    def outside(
        self, inquiry: Inquiry, version: Version, trigger: SegmentTrigger
    ) -> tuple[list[Note], datetime]:
        """Return whether they are in the segment, and since when."""
        found = inquiry.look(InSegment(trigger.segment_name, trigger.segment), inquiry.now)
        note = Note(
            f"Is {'' if found.holds else 'not '}in segment {trigger.segment_name}.", found.holds, found
        )
        if not found.holds:
            return [note], inquiry.now
        known = inquiry.connection.scalar(
            select(membership.c.customer_id).where(
                membership.c.journey_id == version.journey_id,
                membership.c.customer_id == inquiry.customer_id,
            )
        )
        sentence = (
            "Was in it already when the journey first looked; only joining it starts the journey."
            if known
            else "The next pass sees them join."
        )
        return [note, Note(sentence, False)], inquiry.now


HOSTS = {"segment": SegmentHost()}

"""Whom commands and HTTP calls bring."""

from __future__ import annotations

from datetime import datetime

from treue.cohorts.host import Host, Inquiry, Note
from treue.cohorts.scene import Version
from treue.vocabulary.triggers.manual.word import ManualTrigger


class ManualHost(Host[ManualTrigger]):
    """Explains manual triggers; only enrolling creates their arrivals."""

    comes_by = "hand"

    def outside(
        self, inquiry: Inquiry, version: Version, trigger: ManualTrigger
    ) -> tuple[list[Note], datetime]:
        """Return a note that nobody has enrolled the customer, and how to."""
        sentence = f"Nobody has enrolled them; `treue enroll {version.name} ID` does."
        return [Note(sentence, False)], inquiry.now


HOSTS = {"manual": ManualHost()}

"""Straight into the inbox, without a network: for SMS and push, and for e-mail where speed matters more."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from treue.channel import (
    TAKEN_OVER,
    Accepted,
    Capabilities,
    Kind,
    Outgoing,
    Progress,
    Receipt,
    Refused,
    Retry,
)
from treue.errors import ChannelError
from treue_channels.inbox.box import Arrival, InboxStore


class InboxChannel:
    """Puts messages of one `kind` into the inbox file `box`, a batch in one transaction.

    A message whose key is there already is accepted and not stored again.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("email", "sms", "push")
    capabilities = Capabilities(
        "email", batch=500, dedup_window=math.inf, mime=True, attachments=True, address="any"
    )

    def __init__(self, kind: Kind, box: str | os.PathLike[str]) -> None:
        self.capabilities = replace(InboxChannel.capabilities, kind=kind)
        self._box = InboxStore(Path(box))

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Store the batch and return a receipt for each message, in order."""
        mine = [message for message in batch if progress.started(message.key)]
        stored = dict(zip((message.key for message in mine), self._store(mine), strict=True))
        receipts = [stored.get(message.key, TAKEN_OVER) for message in batch]
        for message, receipt in zip(batch, receipts, strict=True):
            progress.settled(message.key, receipt)
        return receipts

    def close(self) -> None:
        """Close the file."""
        self._box.close()

    def _store(self, batch: Sequence[Outgoing]) -> list[Receipt]:
        receipts = {n: refusal for n, message in enumerate(batch) if (refusal := _refusal(message))}
        good = [n for n in range(len(batch)) if n not in receipts]
        try:
            ids = self._box.add([self._arrival(batch[n]) for n in good]) if good else []
        except (ChannelError, sqlite3.Error) as error:
            return [
                receipts.get(n) or Retry(f"The inbox could not store it: {error}", ours=True)
                for n in range(len(batch))
            ]
        stored = dict(zip(good, ids, strict=True))
        return [receipts.get(n) or Accepted(str(stored[n])) for n in range(len(batch))]

    def _arrival(self, message: Outgoing) -> Arrival:
        email = self.capabilities.kind == "email"
        return Arrival(
            channel=self.capabilities.kind,
            recipient=message.to,
            raw=message.raw if email else message.text.encode(errors="replace"),
            sender=message.sender,
            title=message.title,
            link=message.link,
            key=message.key,
        )


def _refusal(message: Outgoing) -> Refused | None:
    if not message.to or not message.to.isprintable():
        return Refused("The message has no recipient, or one with line breaks in it.")
    return None

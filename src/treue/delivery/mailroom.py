"""Looks into the mailbox that bounces come into, now and then, while something else is done."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from treue.bounces.mailboxes import open_mailbox
from treue.clock import utc_now
from treue.delivery.returns import Collected, collect, kept_in
from treue.render.mail.return_paths import ReturnPaths
from treue.store.store import Store

MAILBOX_VARIABLE = "TREUE_BOUNCES"
"""Names the mailbox: `imaps://USER:PASSWORD@HOST/FOLDER`, or the path of a Maildir or an mbox."""

EVERY = 60.0
"""Seconds between two looks."""


def named(root: Path) -> str:
    """Return the mailbox that the environment names, or nothing; a path is one from the workspace's folder."""
    where = os.environ.get(MAILBOX_VARIABLE, "")
    return where if not where or "://" in where else str(root / where)


def look(where: str, store: Store, paths: ReturnPaths, now: datetime) -> Collected:
    """Read the mails that came back since the last look, and keep what they say. Raises MailboxError."""
    with closing(open_mailbox(where)) as mailbox:
        return collect(mailbox, paths, kept_in(store, now), now)


@contextmanager
def looking(
    where: str, store: Store, paths: ReturnPaths, tell: Callable[[str], None], every: float = EVERY
) -> Iterator[None]:
    """Look at once and then every minute, while the block lasts, in a thread.

    What goes wrong is told once, until something else happens, and tried again the next time.
    """
    stop = threading.Event()

    def run() -> None:
        told = ""
        while True:
            try:
                look(where, store, paths, utc_now())
                said = ""
            except Exception as error:  # the mailbox's trouble ends neither the passes nor the web server
                said = f"Bounces were not read: {error}"
            if said and said != told:
                tell(said)
            told = said
            if stop.wait(every):
                return

    thread = threading.Thread(target=run, name="treue-bounces", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(every)

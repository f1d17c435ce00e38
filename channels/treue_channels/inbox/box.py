"""Where the inbox keeps its messages: one SQLite file that several processes write and read.

Every writing transaction begins IMMEDIATE and is committed before anybody hears "accepted". The file is in
WAL mode with synchronous=NORMAL: what was accepted survives the death of any process, but the last moments
before a power cut may be lost. That is the right trade for a tool of development.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from treue.channel import Kind
from treue.clock import instant, micros, utc_now
from treue.errors import ChannelError

_WAIT = 30.0
_EXCERPT = 200
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    received_at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL COLLATE NOCASE,
    title TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    link TEXT NOT NULL,
    search TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS message_recipient ON message (recipient, id);
CREATE INDEX IF NOT EXISTS message_channel ON message (channel, id);
PRAGMA user_version = {_VERSION};
"""
_SUMMARY = "id, received_at, channel, sender, recipient, title, excerpt, link"


@dataclass(frozen=True)
class InboxMessage:
    """A message that has arrived. `received_at` is UTC; `raw` is empty in a list.

    For e-mail `sender` is the envelope's and `raw` the message as it came over the wire; for SMS and push
    `raw` is the text in UTF-8.
    """

    id: int
    received_at: datetime
    channel: Kind
    sender: str
    recipient: str
    title: str
    excerpt: str
    link: str
    raw: bytes = b""


@dataclass(frozen=True)
class Arrival:
    """A message about to be stored; a `key` that is already there is not stored again."""

    channel: Kind
    recipient: str
    raw: bytes
    sender: str = ""
    title: str = ""
    link: str = ""
    key: str | None = None


class InboxStore:
    """The inbox's messages in the SQLite file at `path`, which is made on first use.

    One instance may be used from several threads, and several processes may use one file. Raises
    ChannelError where the file cannot be opened or is another version's.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def add_mail(self, envelope_from: str, rcpt: str, raw: bytes, key: str | None = None) -> int:
        """Store an e-mail, durable when this returns, and return its id."""
        return self.add([Arrival("email", rcpt, raw, sender=envelope_from, key=key)])[0]

    def add_text(
        self,
        channel: Kind,
        recipient: str,
        text: str,
        *,
        sender: str = "",
        title: str = "",
        link: str = "",
        key: str | None = None,
    ) -> int:
        """Store an SMS or a push message, durable when this returns, and return its id."""
        raw = text.encode(errors="replace")
        return self.add([Arrival(channel, recipient, raw, sender=sender, title=title, link=link, key=key)])[0]

    def add(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Store all of them or none, in one transaction, and return their ids."""
        rows = [_row(arrival, micros(self._clock())) for arrival in arrivals]
        with self._writing() as db:
            return [_insert(db, row) for row in rows]

    def list(
        self,
        channel: str | None = None,
        query: str = "",
        limit: int = 50,
        before: int | None = None,
        *,
        after: int | None = None,
        recipient: str | None = None,
    ) -> list[InboxMessage]:
        """Return messages without their content, newest first, or oldest first where `after` is given.

        `query` is looked for in recipient, sender and title; `recipient` must be equal but for case;
        `before` and `after` are ids.
        """
        wanted: dict[str, object] = {
            "channel = ?": channel,
            "instr(search, ?) > 0": query.strip().casefold() or None,
            "id < ?": before,
            "id > ?": after,
            "recipient = ?": recipient,
        }
        chosen = {sql: value for sql, value in wanted.items() if value is not None}
        where = " AND ".join(chosen) or "1"
        order = "id" if after is not None else "id DESC"
        # Every part of the statement is a constant of this module; values are bound.
        sql = f"SELECT {_SUMMARY} FROM message WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
        return [_message(row) for row in self._read(sql, (*chosen.values(), limit))]

    def get(self, id: int) -> InboxMessage | None:  # noqa: A002
        """Return one message with its content, or None where there is none of that id."""
        sql = f"SELECT {_SUMMARY}, raw FROM message WHERE id = ?"  # noqa: S608
        rows = self._read(sql, (id,))
        return _message(rows[0]) if rows else None

    def count(self, channel: str | None = None) -> int:
        """Return how many messages have arrived, in all or by one channel."""
        if channel is None:
            return _number(self._read("SELECT count(*) FROM message", ()))
        return _number(self._read("SELECT count(*) FROM message WHERE channel = ?", (channel,)))

    def forget(self, addresses: Collection[str]) -> None:
        """Delete what has come for any of these addresses, and write the file anew, so that nothing of it stays in it."""
        with self._writing() as db:
            for address in addresses:
                db.execute("DELETE FROM message WHERE recipient = ?", (address,))
        with self._lock:
            self._open().execute("VACUUM")
            self._open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _read(self, sql: str, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        with self._lock:
            return self._open().execute(sql, tuple(values)).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(self.path)
            except (OSError, sqlite3.Error) as error:
                raise ChannelError(f"The inbox {self.path} cannot be opened: {error}.") from error
        return self._connection


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file; while another process turns it to WAL, SQLite says "locked" without waiting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + _WAIT
    while True:
        db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException as error:
            db.close()
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA synchronous = NORMAL")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == _VERSION:
        return
    if version:
        raise ChannelError(f"The inbox {path} is of another version of Treue; move it away to start anew.")
    db.execute("PRAGMA journal_mode = WAL")  # stays with the file
    db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")


_Row = tuple[str | None, int, str, str, str, str, str, str, str, bytes]
_INSERT = """
INSERT INTO message (key, received_at, channel, sender, recipient, title, excerpt, link, search, raw)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING RETURNING id
"""


def _row(arrival: Arrival, now: int) -> _Row:
    if arrival.channel == "email":
        from treue_channels.inbox.mail import glance

        title, text = glance(arrival.raw)
    else:
        title, text = arrival.title, arrival.raw.decode(errors="replace")
    excerpt = " ".join(text.split())[:_EXCERPT]
    search = f"{arrival.recipient}\n{arrival.sender}\n{title}\n{excerpt if arrival.channel == 'sms' else ''}"
    return (
        arrival.key,
        now,
        arrival.channel,
        arrival.sender,
        arrival.recipient,
        title,
        excerpt,
        arrival.link,
        search.casefold(),
        zlib.compress(arrival.raw, 1),
    )


def _insert(db: sqlite3.Connection, row: _Row) -> int:
    """Store a row unless its key is there already, and return the id of the one that is there now."""
    found = db.execute(_INSERT, row).fetchone()
    if found is None:
        found = db.execute("SELECT id FROM message WHERE key = ?", (row[0],)).fetchone()
    return int(found[0])


def _number(rows: Sequence[Sequence[Any]]) -> int:
    return int(rows[0][0])


def _message(row: Sequence[Any]) -> InboxMessage:
    id_, received_at, channel, sender, recipient, title, excerpt, link, *raw = row
    return InboxMessage(
        id=id_,
        received_at=instant(received_at),
        channel=channel,
        sender=sender,
        recipient=recipient,
        title=title,
        excerpt=excerpt,
        link=link,
        raw=zlib.decompress(raw[0]) if raw else b"",
    )

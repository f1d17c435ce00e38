"""What messages were written with: the values that they printed, and the words of their template as they were then."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from treue.model.tables import printed
from treue.store import dialect

_TIME = "treue:time"


@dataclass(frozen=True)
class Printed:
    """What one message was written with: the digest of its words (`wordings`), and its values as compressed JSON."""

    digest: str
    content: bytes

    @classmethod
    def of(cls, digest: str, values: Mapping[str, Any]) -> Printed:
        """Return what is kept of words and values."""
        return cls(digest, zlib.compress(_ENCODE(values).encode(), 1))

    @property
    def values(self) -> dict[str, Any]:
        """The values, times as such."""
        found: dict[str, Any] = json.loads(zlib.decompress(self.content), object_hook=_timed)
        return found


def _plain(value: object) -> Any:
    return {_TIME: value.isoformat()} if isinstance(value, datetime) else str(value)


def _timed(found: dict[str, Any]) -> Any:
    return datetime.fromisoformat(found[_TIME]) if found.keys() == {_TIME} else found


_ENCODE = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def keep(connection: Connection, found: Mapping[int, Printed]) -> None:
    """Keep what messages, by number, were written with; what they were written with before counts no more."""
    if not found:
        return
    statement = postgresql.insert(printed) if dialect.is_postgresql(connection) else sqlite.insert(printed)
    again = {name: statement.excluded[name] for name in ("digest", "content")}
    rows = [
        {"message_id": id_, "digest": one.digest, "content": one.content}
        for id_, one in sorted(found.items())
    ]
    connection.execute(statement.on_conflict_do_update(index_elements=["message_id"], set_=again), rows)


def find(connection: Connection, message_ids: Collection[int]) -> dict[int, Printed]:
    """Return what messages were written with; those of which nothing is kept are left out."""
    rows = connection.execute(
        select(printed).where(dialect.among(connection, printed.c.message_id, message_ids))
    )
    return {row.message_id: Printed(row.digest, row.content) for row in rows}


def forget(connection: Connection, message_ids: Collection[int]) -> int:
    """Delete what messages were written with; return of how many something was kept."""
    mine = dialect.among(connection, printed.c.message_id, message_ids)
    return connection.execute(delete(printed).where(mine)).rowcount

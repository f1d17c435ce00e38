"""The copies of templates that versions keep, each text once."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, select

from treue.model.tables import printed, wording, words
from treue.store import dialect


@dataclass(frozen=True)
class Words:
    """A template's files with those of the layout, by path under `templates/`."""

    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """What tells them from others."""
        found = hashlib.blake2b(digest_size=16)
        for path, content in sorted(self.files.items()):
            found.update(f"{len(path)} {path} {len(content)} ".encode())
            found.update(content)
        return found.hexdigest()


def kept(connection: Connection) -> dict[tuple[int, str], Row[tuple[int, str, str, bool]]]:
    """Return all copies by version and template, without their text."""
    return {(row.version_id, row.template): row for row in connection.execute(select(wording))}


def keep(
    connection: Connection, version_id: int, template: str, given: Words, *, follows: bool = True
) -> None:
    """Let a version keep this copy of a template."""
    files = {path: b64encode(content).decode() for path, content in given.files.items()}
    dialect.insert_new(
        connection, words, [{"digest": given.digest, "files": files}], ("digest",), ("digest",)
    )
    values = {"digest": given.digest, "follows": follows}
    dialect.upsert(connection, wording, {"version_id": version_id, "template": template}, values)


def follow(connection: Connection, version_id: int, template: str, *, follows: bool) -> None:
    """Say whether a copy is what the files say."""
    mine = (wording.c.version_id == version_id, wording.c.template == template)
    connection.execute(wording.update().where(*mine).values(follows=follows))


def digests(connection: Connection, version_ids: Collection[int]) -> dict[tuple[int, str], str]:
    """Return which text each of some versions has for each template."""
    query = select(wording.c.version_id, wording.c.template, wording.c.digest)
    rows = connection.execute(
        query.where(dialect.among(connection, wording.c.version_id, sorted(version_ids)))
    )
    return {(version_id, template): digest for version_id, template, digest in rows}


def read(connection: Connection, digest: str) -> Words:
    """Return a text that is kept. Raises KeyError where it is not."""
    files = connection.scalar(select(words.c.files).where(words.c.digest == digest))
    if files is None:
        raise KeyError(digest)
    return Words({path: b64decode(content) for path, content in files.items()})


def forget(connection: Connection, in_use: Collection[int]) -> int:
    """Delete the copies of versions that are not in use; return how many.

    Texts go that no version has any more, and no message that was written with them.
    """
    mine = dialect.among(connection, wording.c.version_id, sorted(in_use))
    gone = connection.execute(delete(wording).where(~mine)).rowcount
    shown = select(printed.c.message_id).where(printed.c.digest == words.c.digest)
    unused = words.c.digest.not_in(select(wording.c.digest))
    connection.execute(delete(words).where(unused, ~shown.exists()))
    return gone

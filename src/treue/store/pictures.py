"""Pictures that mails show from our address, kept for as long as the mails may be read."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from treue.model.tables import picture
from treue.store import dialect
from treue.store.store import Store


class Kept(NamedTuple):
    """A picture's media type and bytes."""

    media_type: str
    content: bytes


def keep(store: Store, digest: str, name: str, media_type: str, content: bytes) -> None:
    """Keep a picture under the hash of what it is; one that is there already stays as it is."""
    with store.reading() as connection:
        if connection.scalar(select(picture.c.digest).where(picture.c.digest == digest)):
            return
    row = {"digest": digest, "name": name, "media_type": media_type, "content": content}
    with store.transaction() as connection:
        dialect.insert_unless_there(connection, picture, row)


def find(store: Store, digest: str, name: str) -> Kept | None:
    """Return the picture of this hash and name, or None where no message ever showed one."""
    query = select(picture.c.media_type, picture.c.content)
    with store.reading() as connection:
        row = connection.execute(query.where(picture.c.digest == digest, picture.c.name == name)).first()
    return Kept(row.media_type, row.content) if row else None

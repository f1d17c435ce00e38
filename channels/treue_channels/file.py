"""Messages as files in a folder: for looking at, for diffing, and for whatever picks them up from there."""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import json
import math
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from email.utils import getaddresses
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

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

_LONGEST = 200


class File:
    """Writes each message to `path` as `KEY.eml` (e-mail) or `KEY.json` (SMS, push).

    A file appears whole or not at all, and is on disk before the receipt says so. A key that has been
    written before is accepted again and its file left alone. The folder is made on first use.
    """

    kinds: ClassVar[tuple[Kind, ...]] = ("email", "sms", "push")
    capabilities = Capabilities(
        "email", batch=100, dedup_window=math.inf, mime=True, attachments=True, address="any"
    )

    def __init__(self, kind: Kind, path: str | os.PathLike[str]) -> None:
        self.capabilities = replace(File.capabilities, kind=kind)
        self._folder = Path(path)

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Write each message and return its receipt, in order."""
        receipts = []
        for message in batch:
            receipt = self._write(message) if progress.started(message.key) else TAKEN_OVER
            progress.settled(message.key, receipt)
            receipts.append(receipt)
        return receipts

    def close(self) -> None:
        """Do nothing: no file stays open between two messages."""

    def forget(self, addresses: Collection[str]) -> None:
        """Delete the files of what went to any of these addresses."""
        wanted = {one.casefold() for one in addresses}
        for file in [*self._folder.glob("*.eml"), *self._folder.glob("*.json")]:
            if wanted & {one.casefold() for one in _recipients(file)}:
                file.unlink(missing_ok=True)

    def _write(self, message: Outgoing) -> Receipt:
        if not message.key or not message.to or not message.to.isprintable():
            return Refused("The message has no key or no recipient.")
        suffix = ".eml" if self.capabilities.kind == "email" else ".json"
        target = self._folder / (_file_name(message.key) + suffix)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _create(target, self._content(message))
        except OSError as error:
            return Retry(f"Could not write {target}: {error.strerror or error}", ours=True)
        return Accepted(target.name)

    def _content(self, message: Outgoing) -> bytes:
        if self.capabilities.kind == "email":
            return message.raw
        fields = {
            "key": message.key,
            "channel": self.capabilities.kind,
            "to": message.to,
            "sender": message.sender,
            "title": message.title,
            "text": message.text,
            "link": message.link,
            "data": dict(message.data),
        }
        return (json.dumps(fields, ensure_ascii=False, indent=2) + "\n").encode(errors="replace")


def _recipients(file: Path) -> list[str]:
    """Return to whom a file's message went; nobody where it is none of ours."""
    content = file.read_bytes()
    if file.suffix == ".eml":
        to = email.message_from_bytes(content, policy=email.policy.default).get_all("To", [])
        return [address for _, address in getaddresses([str(one) for one in to])]
    try:
        found = json.loads(content)
    except ValueError:
        return []
    return [str(found.get("to", ""))] if isinstance(found, dict) else []


def _file_name(key: str) -> str:
    """Return a name that stays inside the folder; an ordinary key is its own."""
    name = quote(key, safe="")
    if len(name) > _LONGEST:
        return hashlib.sha256(key.encode()).hexdigest()
    return "%2E" + name[1:] if name.startswith(".") else name


def _create(target: Path, content: bytes) -> None:
    """Put a new file in place in one step; one that another process has put there meanwhile stays."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _publish(draft: Path, target: Path) -> None:
    try:
        target.hardlink_to(draft)  # unlike a rename, never replaces
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        draft.replace(target)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where the system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

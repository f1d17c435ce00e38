"""Mailboxes that bounces come into: Maildir, mbox, IMAP. A mail is marked as done only when its verdict is kept.

Each mail that is not done yet is given out again at every look, so the reader's doings must bear repetition.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from treue.bounces.files import ReturnedMail, is_maildir, mbox
from treue.bounces.mime import READ
from treue.errors import MailboxError


class Mailbox(Protocol):
    """Where mails come back to."""

    def letters(self) -> Iterator[ReturnedMail]:
        """Yield the mails that are not done yet. Raises MailboxError."""

    def done(self, letters: Iterable[ReturnedMail]) -> None:
        """Mark mails as done, in the order they were given out. Raises MailboxError."""

    def close(self) -> None:
        """Let go of connections."""


def open_mailbox(where: str) -> Mailbox:
    """Return the mailbox at `imaps://USER:PASSWORD@HOST/FOLDER`, or the Maildir or mbox of that path.

    Raises MailboxError where there is none.
    """
    if "://" in where:
        from treue.bounces.imap import Imap

        return Imap(where)
    path = Path(where)
    if path.is_dir() and is_maildir(path):
        return Maildir(path)
    if path.is_file():
        return Mbox(path)
    raise MailboxError(f"{where} is no mailbox: neither a Maildir (with cur/ and new/) nor an mbox file.")


class Maildir:
    """A Maildir: mails that are done are moved to `cur/` and have the flag S, as if they had been read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def letters(self) -> Iterator[ReturnedMail]:
        """Yield the mails without the flag S, oldest first."""
        for place in ("cur", "new"):
            for file in sorted((self._path / place).iterdir()):
                if "S" in _flags(file.name) or file.name.startswith("."):
                    continue
                try:
                    with file.open("rb") as opened:
                        yield ReturnedMail(str(file), opened.read(READ))
                except FileNotFoundError:
                    continue  # somebody read it in the meantime, and so moved it

    def done(self, letters: Iterable[ReturnedMail]) -> None:
        """Give the mails the flag S."""
        for letter in letters:
            file = Path(letter.name)
            flags = "".join(sorted({*_flags(file.name), "S"}))
            target = self._path / "cur" / f"{file.name.partition(':')[0]}:2,{flags}"
            try:
                file.rename(target)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise MailboxError(f"{letter.name} cannot be marked as done: {error.strerror}.") from error

    def close(self) -> None:
        """Nothing is open."""


def _flags(name: str) -> str:
    return name.rpartition(":2,")[2] if ":2," in name else ""


class Mbox:
    """An mbox that is only ever read: how far lies in a file `….done` beside it.

    An mbox that begins otherwise than before, or is shorter, was emptied: it is read from the start.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}.done")

    def letters(self) -> Iterator[ReturnedMail]:
        """Yield the mails after the last that is done."""
        try:
            with self._path.open("rb") as file:
                yield from mbox(file, str(self._path), self._place(), _complete(file))
        except OSError as error:
            raise MailboxError(f"{self._path} cannot be read: {error.strerror}.") from error

    def done(self, letters: Iterable[ReturnedMail]) -> None:
        """Remember where the last of these mails ended."""
        ends = [letter.end for letter in letters]
        if not ends:
            return
        new = self._beside.with_name(f"{self._beside.name}.new")
        try:
            new.write_text(f"{max(ends)} {self._start(max(ends))}\n", encoding="ascii")
            new.replace(self._beside)
        except OSError as error:
            raise MailboxError(f"{self._beside} cannot be written: {error.strerror}.") from error

    def close(self) -> None:
        """Nothing is open."""

    def _place(self) -> int:
        try:
            at, start = self._beside.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):
            return 0
        same = self._path.stat().st_size >= int(at) and self._start(int(at)) == start
        return int(at) if same else 0

    def _start(self, within: int) -> str:
        with self._path.open("rb") as file:
            return hashlib.sha256(file.read(min(within, 4096))).hexdigest()


def _complete(file: BinaryIO) -> int:
    """Return how much of an mbox is there while nobody writes to it: mail servers lock it to add a mail."""
    fcntl.lockf(file, fcntl.LOCK_SH)
    try:
        return os.fstat(file.fileno()).st_size
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN)

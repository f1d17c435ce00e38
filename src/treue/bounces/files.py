"""Mails in files and folders: one mail a file, Maildir, mbox. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from treue.bounces.mime import READ

MAIL = frozenset({".eml", ".msg"})
"""A file that is called so holds one mail, even if it begins as an mbox does."""
_LINE = 1 << 16


@dataclass(frozen=True)
class ReturnedMail:
    """One mail as it came, cut after 512 KiB. `name` is where it lies, `end` where in an mbox it ends."""

    name: str
    raw: bytes = field(repr=False)
    end: int = 0


def letters(path: Path) -> Iterator[ReturnedMail]:
    """Yield the mails in a file, an mbox or a folder, in the order of their names. Raises OSError."""
    if path.is_dir():
        for one in sorted(_within(path)):
            yield from letters(one)
        return
    with path.open("rb") as file:
        if file.peek(5).startswith(b"From ") and path.suffix not in MAIL:
            yield from mbox(file, str(path))
        else:
            yield ReturnedMail(str(path), file.read(READ))


def is_maildir(path: Path) -> bool:
    """Whether a folder is a Maildir."""
    return (path / "cur").is_dir() and (path / "new").is_dir()


def _within(folder: Path) -> list[Path]:
    """Return the files of a folder that are mails: those of a Maildir, those called so, else all that are not hidden."""
    places = [folder / "cur", folder / "new"] if is_maildir(folder) else [folder]
    files = [
        one for place in places for one in place.iterdir() if one.is_file() and not one.name.startswith(".")
    ]
    return [one for one in files if one.suffix in MAIL] or files


def mbox(file: BinaryIO, name: str, at: int = 0, until: int | None = None) -> Iterator[ReturnedMail]:
    """Yield the mails of an mbox (RFC 4155) from one place to another; `>From` is `From` again."""
    file.seek(at)
    mail, blank = bytearray(), True
    for line in iter(lambda: file.readline(_LINE), b""):
        if until is not None and at >= until:
            break
        if blank and mail and line.startswith(b"From "):
            yield ReturnedMail(name, bytes(mail), at)
            mail.clear()
        if len(mail) < READ:
            mail += line[1:] if line.startswith(b">From ") else line
        at += len(line)
        blank = line in (b"\n", b"\r\n")
    if mail:
        yield ReturnedMail(name, bytes(mail), at)

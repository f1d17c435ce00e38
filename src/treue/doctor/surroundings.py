"""The machine around a workspace, as far as checks ask about it. Tests put answers of their own in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from treue.doctor.dns import DnsResolver, Resolver
from treue.errors import SettingsError
from treue.workspace.files import STATE_FOLDER
from treue.workspace.workspace import Workspace

_MOUNTS = Path("/proc/self/mounts")


def free_bytes(path: Path) -> int:
    """Return how much may still be written where `path` lies, or will lie."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(there).free


def file_system(path: Path) -> str:
    """Return the kind of file system `path` lies on, such as `ext4` or `nfs4`; nothing where this system does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    return kind_of_mount(lines, path.resolve())


def kind_of_mount(lines: Iterable[str], path: Path) -> str:
    """Return the kind of the innermost mount over a path, by lines as `/proc/mounts` has them."""
    mounts = [line.split(" ") for line in lines]
    over = [(len(one[1]), one[2]) for one in mounts if len(one) > 2 and path.is_relative_to(_plain(one[1]))]
    return max(over, key=lambda one: one[0])[1] if over else ""


def _plain(written: str) -> str:
    """Return a folder's name without the octal escapes for blanks."""
    return written.replace("\\040", " ").replace("\\011", "\t")


@dataclass(frozen=True)
class Surroundings:
    """A workspace, and what can be asked about the machine that runs it."""

    workspace: Workspace
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    resolver: Resolver = field(default_factory=DnsResolver)
    free: Callable[[Path], int] = free_bytes
    file_system: Callable[[Path], str] = file_system

    @property
    def state(self) -> Path:
        """The folder of what this machine keeps beside the files; it need not be there."""
        return self.workspace.root / STATE_FOLDER

    @property
    def database(self) -> str:
        """The database's address; a relative SQLite file lies in the workspace. Raises SettingsError."""
        from treue.composition.assembly import database_url

        return database_url(self.workspace)

    @property
    def database_file(self) -> Path | None:
        """Where SQLite's file lies, or will lie; None for another database, or where the address is not known."""
        prefix = "sqlite:///"
        try:
            url = self.database
        except SettingsError:
            return None
        return Path(url.removeprefix(prefix)) if url.startswith(prefix) and ":memory:" not in url else None

"""Where a workspace is, and what files it has."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from treue.errors import UnreadableFile, UsageError

SETTINGS_FILE = "treue.yaml"
SCHEMA_FILE = "treue.schema.json"
STATE_FOLDER = ".treue"
CHANNELS_FOLDER = "channels"
"""Where a workspace keeps adapters of its own, as `NAME.py`."""
LAYOUT = "_layout"
LARGEST_ENCLOSED = 8_000_000
"""Bytes of the largest file beside a template: pictures and attachments are smaller."""

TEMPLATE_FORMS = (".mjml", ".html", ".txt")
TEMPLATE_FILE = re.compile(
    r"(?P<kind>email|sms|push)(?:\.(?P<locale>[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*))?\.(?P<form>mjml|html|txt)"
)


@dataclass(frozen=True)
class TemplateFolder:
    """One message: its folder, and which channels and locales it has files for ("" is the one without a suffix)."""

    name: str
    path: Path
    variants: tuple[tuple[str, str], ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels this message can go out on."""
        return tuple(dict.fromkeys(channel for channel, _ in self.variants))


def read_file(path: Path, most: int) -> bytes:
    """Return a plain file's bytes, up to `most` and one more.

    Raises UnreadableFile where it is none: nobody waits for a pipe or reads a device to its end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableFile(_in_the_way(path, error)) from error
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind != stat.S_IFREG:
            raise UnreadableFile("it is a folder" if kind == stat.S_IFDIR else _NO_FILE)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most + 1)
    except OSError as error:
        raise UnreadableFile(_in_the_way(path, error)) from error
    finally:
        os.close(descriptor)


_NO_FILE = "it is no file but a pipe or a device"


def listed(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name; nothing where it cannot be told (`folder_fault` says why)."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def folder_fault(folder: Path) -> str:
    """Return why a folder that is there cannot be looked through, as the end of a sentence; else nothing."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        return _in_the_way(folder, error) if os.path.lexists(folder) else ""
    return ""


def _in_the_way(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a link that leads back to itself"
    if error.errno == errno.ENOENT:
        return "it is a link that leads nowhere" if path.is_symlink() else "it is not there"
    known = {
        errno.ENOTDIR: "it is no folder",
        errno.EACCES: "its permissions forbid it",
        errno.ENXIO: _NO_FILE,
    }
    return known.get(error.errno or 0, str(error.strerror))


def find_root(start: Path | None) -> Path:
    """Return the workspace: the folder itself if given, else the nearest one upwards with a `treue.yaml`.

    Raises UsageError where there is none.
    """
    if start is not None:
        if not _is_workspace(start):
            raise UsageError(
                f"{start} is not a workspace: it has no {SETTINGS_FILE}. `treue init {start}` makes one."
            )
        return start.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if _is_workspace(folder):
            return folder
    raise UsageError(
        f"There is no {SETTINGS_FILE} here or in a folder above. `treue init DIR` makes a workspace."
    )


def _is_workspace(folder: Path) -> bool:
    """Whether a folder has a settings file. Raises UsageError where something else is in its place."""
    settings = folder / SETTINGS_FILE
    if os.path.lexists(settings) and not settings.is_file():
        try:
            read_file(settings, 0)
        except UnreadableFile as fault:
            raise UsageError(f"{settings} cannot be read: {fault}.") from fault
    return settings.is_file()


def reference_workspace() -> Path:
    """Return the reference workspace: inside the installed package, else the checkout's root."""
    packaged = Path(str(package_files("treue.workspace"))) / "reference"
    if (packaged / SETTINGS_FILE).is_file():
        return packaged
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / SETTINGS_FILE).is_file():
        return checkout
    raise UsageError("The reference workspace is not in this installation; reinstall Treue.")


def yaml_files(folder: Path, *, tests: bool = False) -> Iterator[Path]:
    """Yield the YAML files right in a folder by name, journey tests only where asked for.

    Also what has such a name and is no file: whoever reads it says so.
    """
    for path in listed(folder):
        is_test = Path(path.stem).suffix == ".test"
        shown = path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
        if shown and is_test is tests:
            yield path


def folder_faults(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield what has the place of a folder and cannot be looked through, and why."""
    places = [root / name for name in ("journeys", "segments", "templates", CHANNELS_FOLDER)]
    within = [path for path in listed(root / "templates") if path.is_dir() or not path.exists()]
    for place in (*places, *within):
        if fault := folder_fault(place):
            yield place, fault


def template_folders(root: Path) -> dict[str, TemplateFolder]:
    """Return the messages under `templates/` by name."""
    base = root / "templates"
    names = [path.name for path in listed(base) if path.is_dir() and not path.name.startswith(("_", "."))]
    return {name: TemplateFolder(name, base / name, tuple(_variants(base / name))) for name in names}


def _variants(folder: Path) -> Iterator[tuple[str, str]]:
    found = (TEMPLATE_FILE.fullmatch(path.name) for path in listed(folder))
    yield from dict.fromkeys((match["kind"], match["locale"] or "") for match in found if match)


def template_files(root: Path, name: str) -> dict[str, bytes]:
    """Return the files of a template and of the layout, by path under `templates/`; none where there is no such template.

    What cannot be read, or is too large to be sent, is left out: whoever reads the template says so.
    """
    base, found = root / "templates", dict[str, bytes]()
    for folder in (name, LAYOUT):
        for path in listed(base / folder):
            if not path.name.startswith("."):
                with suppress(UnreadableFile):
                    content = read_file(path, LARGEST_ENCLOSED)
                    if len(content) <= LARGEST_ENCLOSED:
                        found[f"{folder}/{path.name}"] = content
    return found if any(path.startswith(f"{name}/") for path in found) else {}


def state_folder(root: Path) -> Path:
    """Return the folder for what a machine keeps beside the files (secret, inbox, logs), making it if needed."""
    folder = root / STATE_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def read_or_make_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the secret in a file that only its owner may read, writing what `make` returns if there is none yet.

    Processes that start at the same time get the same secret.
    """
    if path.exists() and (kept := path.read_bytes()).strip():
        return kept
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (kept := file.read()).strip():
            kept = make()
            file.seek(0)
            file.write(kept)
        return kept

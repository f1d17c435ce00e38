"""Where a workspace is, and what files it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

from treue.errors import UsageError

SETTINGS_FILE = "treue.yaml"
SCHEMA_FILE = "treue.schema.json"
STATE_FOLDER = ".treue"
CHANNELS_FOLDER = "channels"
"""Where a workspace keeps adapters of its own, as `NAME.py`."""
LAYOUT = "_layout"

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


def find_root(start: Path | None) -> Path:
    """Return the workspace: the folder itself if given, else the nearest one upwards with a `treue.yaml`.

    Raises UsageError where there is none.
    """
    if start is not None:
        if not (start / SETTINGS_FILE).is_file():
            raise UsageError(
                f"{start} is not a workspace: it has no {SETTINGS_FILE}. `treue init {start}` makes one."
            )
        return start.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    raise UsageError(
        f"There is no {SETTINGS_FILE} here or in a folder above. `treue init DIR` makes a workspace."
    )


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
    """Yield the YAML files right in a folder by name, journey tests only where asked for."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        is_test = Path(path.stem).suffix == ".test"
        shown = path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
        if shown and is_test is tests and path.is_file():
            yield path


def template_folders(root: Path) -> dict[str, TemplateFolder]:
    """Return the messages under `templates/` by name."""
    base = root / "templates"
    if not base.is_dir():
        return {}
    names = sorted(
        path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))
    )
    return {name: TemplateFolder(name, base / name, tuple(_variants(base / name))) for name in names}


def _variants(folder: Path) -> Iterator[tuple[str, str]]:
    found = (TEMPLATE_FILE.fullmatch(name) for name in sorted(path.name for path in folder.iterdir()))
    yield from dict.fromkeys((match["kind"], match["locale"] or "") for match in found if match)


def state_folder(root: Path) -> Path:
    """Return the folder for what a machine keeps beside the files (secret, inbox, logs), making it if needed."""
    folder = root / STATE_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder

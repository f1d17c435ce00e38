"""A workspace as it was at a revision of its git repository."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path, PurePosixPath

from treue.errors import UsageError
from treue.workspace.files import SETTINGS_FILE

FOLDERS = ("journeys", "segments", "templates")


def another_version(root: Path, revision: str, folder: Path) -> Path:
    """Return the folder of another version of a workspace: a git revision, put into `folder`, or a folder named.

    Raises UsageError where there is neither.
    """
    commit = _commit(root, revision)
    if commit is not None:
        return _check_out(root, commit, revision, folder)
    if (Path(revision) / SETTINGS_FILE).is_file():
        return Path(revision).resolve()
    raise UsageError(
        f"`{revision}` is neither a git revision of {root} nor a folder with a {SETTINGS_FILE}; "
        "revisions are like main, HEAD~1 or v1.0."
    )


def _commit(root: Path, revision: str) -> str | None:
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    found = _git(root, *asked)
    return found.decode().strip() if found is not None else None


def _check_out(root: Path, commit: str, revision: str, folder: Path) -> Path:
    packed = _git(root, "archive", "--format=tar", commit)
    if packed is not None:
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(folder, [part for part in archive if _belongs(part)], filter="data")
    if not (folder / SETTINGS_FILE).is_file():
        raise UsageError(f"There was no {SETTINGS_FILE} in {root} at {revision}.")
    return folder


def _belongs(part: tarfile.TarInfo) -> bool:
    """Whether this is one of a workspace's files, and a plain one."""
    first = PurePosixPath(part.name).parts[0]
    return (part.isfile() or part.isdir()) and (part.name == SETTINGS_FILE or first in FOLDERS)


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return what git answers, in the workspace's folder; None where it refuses or is not there."""
    git = shutil.which("git")
    if git is None:
        return None
    done = subprocess.run([git, *arguments], cwd=root, capture_output=True, check=False)  # noqa: S603
    return done.stdout if done.returncode == 0 else None

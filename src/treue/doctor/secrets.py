"""Whether secrets are there, and whether only those can read them who should."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from treue.composition.assembly import require_secrets
from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings
from treue.errors import SettingsError
from treue.language.settings import Env
from treue.render.mail.links import SECRET_VARIABLE
from treue.web.guard import KEY_FILE, KEY_VARIABLE

SHORTEST = 32
"""Characters of a secret from the environment that nobody guesses."""

SECRET_FILE = "secret"  # noqa: S105 - the file's name
FILES = (SECRET_FILE, KEY_FILE, "prefect/auth_string")
"""What of the state folder is secret, by path in it."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_modes(surroundings: Surroundings) -> Iterator[Finding]:
    """Look who may read the secrets that lie in files, and the customers' data."""
    state, found = surroundings.state, list[Finding]()
    if not state.is_dir():
        yield well("No secret lies in a file: there is no .treue/ yet.")
        return
    for name in FILES:
        if (path := state / name).exists():
            found += _file(f".treue/{name}", path)
    if _mode(state) & _OTHERS:
        found.append(warning(f".treue/ is open to others (mode {_mode(state):o}).", f"`chmod 700 {state}`"))
    file = surroundings.database_file
    if file is not None and file.exists() and _mode(file) & _OTHERS:
        found.append(
            warning(
                f"{file.name}, with all customers' data, is open to others (mode {_mode(file):o}).",
                f"`chmod 600 {file}`",
            )
        )
    yield from found or [well("Only their owner may read the secrets and the data in files.")]


def _file(name: str, path: Path) -> Iterator[Finding]:
    if _mode(path) & _OTHERS:
        yield wrong(
            f"{name} is open to others (mode {_mode(path):o}).",
            f"`chmod 600 {path}`; if somebody else may have read it, delete it to have a new one made.",
        )
    if not os.access(path, os.R_OK):
        yield wrong(f"{name} cannot be read by this user.", f"Let the user Treue runs as own {path}.")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_keys(surroundings: Surroundings) -> Iterator[Finding]:
    """Look where the API key and the secret that signs links come from."""
    for what, variable, file in (
        ("The secret that signs links", SECRET_VARIABLE, SECRET_FILE),
        ("The API key", KEY_VARIABLE, KEY_FILE),
    ):
        yield _origin(what, variable, surroundings.environment.get(variable, "").strip(), surroundings, file)


def _origin(what: str, variable: str, given: str, surroundings: Surroundings, file: str) -> Finding:
    path = surroundings.state / file
    if given and len(given) < SHORTEST:
        return warning(
            f"{what} comes from {variable}, and has only {len(given)} characters.",
            f"Set {variable} to {SHORTEST} random ones or more, such as those of `openssl rand -hex 32`.",
        )
    if given:
        return well(f"{what} comes from the environment ({variable}).")
    if path.exists() and path.stat().st_size:
        return well(f"{what} lies in .treue/{file}, which belongs into the backup.")
    return warning(
        f"{what} is not there yet.",
        f"The first start makes .treue/{file}; several machines need the same one, so set {variable} there.",
    )


def check_sources(surroundings: Surroundings) -> Iterator[Finding]:
    """Look whether the secrets of webhooks and calls are in the environment."""
    workspace, found = surroundings.workspace, list[Finding]()
    if workspace.settings.calls:
        try:
            require_secrets(workspace)
        except SettingsError as error:
            found.append(wrong(str(error), "No worker starts without it; set it."))
    for name, source in workspace.settings.sources.items():
        if not _value(source.secret, surroundings):
            found.append(
                warning(
                    f"All webhooks of `{name}` are refused, as {source.secret} is not set.",
                    "Set it, or delete the source from treue.yaml.",
                )
            )
    yield from found or [well("The secrets of all webhooks and calls are set.")]


def _value(secret: Env, surroundings: Surroundings) -> str:
    try:
        return secret.value(surroundings.environment).strip()
    except SettingsError:
        return ""

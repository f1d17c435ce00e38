"""What an adapter's class asks of a channel's settings, read from its signature: nothing is made or connected."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from treue.channel.registry import GROUP
from treue.packages import installed_entries

OURS: Mapping[str, frozenset[str]] = {"inbox": frozenset({"box"})}
"""Arguments that never come from the settings, beside `kind`, which every adapter is given."""

FILLED: Mapping[str, frozenset[str]] = {"file": frozenset({"path"}), "smtp": frozenset({"url"})}
"""Arguments for which there is something where the settings name nothing: a folder, the built-in inbox."""

_ONE = r"(?:str|bool|int|float|None|Extra|os\.PathLike\[str\])"
_PLAIN = re.compile(rf"{_ONE}(?: \| {_ONE})*")
_OF_EXTRA = re.compile(r"\s*([A-Za-z0-9][\w.-]*)[^;]*;\s*extra\s*==\s*[\"']([\w.-]+)[\"']\s*")


@dataclass(frozen=True)
class Options:
    """What a channel's settings must name, may name, and would be worth naming to somebody who misspelt it."""

    required: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    offered: tuple[str, ...] = ()
    anything: bool = False


def options_of(adapter: str, factory: Any) -> Options:
    """Return what the class of an adapter takes; anything, where its signature cannot be read."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return Options(anything=True)
    ours = OURS.get(adapter, frozenset()) | {"kind"}
    named = [
        one
        for one in parameters
        if one.name not in ours and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    return Options(
        tuple(
            one.name for one in named if one.default is one.empty and one.name not in FILLED.get(adapter, ())
        ),
        frozenset(one.name for one in named),
        tuple(one.name for one in named if _is_plain(one)),
        any(one.kind is one.VAR_KEYWORD for one in parameters),
    )


def _is_plain(parameter: inspect.Parameter) -> bool:
    """Whether an argument can be written in the settings; others, such as clocks, are for tests."""
    said = parameter.annotation
    written = said if isinstance(said, str) else inspect.formatannotation(said)
    return said is parameter.empty or _PLAIN.fullmatch(written) is not None


def missing_packages(adapter: str) -> tuple[str, list[str]]:
    """Return how to install the extra of an adapter's name, and the packages of it that are not there."""
    for entry in installed_entries(GROUP):
        if entry.name == adapter and entry.dist is not None:
            found = [_OF_EXTRA.fullmatch(text) for text in entry.dist.requires or ()]
            wanted = [match[1] for match in found if match and match[2] == adapter]
            return f"pip install '{entry.dist.name}[{adapter}]'", [
                one for one in wanted if not _installed(one)
            ]
    return "", []


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True

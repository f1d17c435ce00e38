"""How adapters are found: installed ones by their entry points, a workspace's own in its folder `channels/`.

Third parties register theirs in the entry-point group `treue.channels`. A workspace's own adapter NAME is the one
class with `capabilities`, `send` and `close` in `channels/NAME.py`; the file is run only where `treue.yaml` names it.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from treue.channel.port import Kind
from treue.errors import ChannelError
from treue.packages import installed_entries

GROUP = "treue.channels"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PARTS = ("capabilities", "send", "close")


def channel_factory(adapter: str, own: Path | None = None) -> Any:
    """Return the class of the adapter called `adapter`; it takes the channel's settings as keywords.

    `own` is the folder with a workspace's own adapters. Raises ChannelError where there is no such adapter, where it
    cannot be loaded, or where a file of the workspace has the name of an installed one.
    """
    installed = {entry.name: entry for entry in installed_entries(GROUP)}
    mine = adapter in own_adapters(own)
    if mine and adapter in installed:
        raise ChannelError(f"channels/{adapter}.py has the name of an installed adapter; rename the file.")
    if mine and own:
        return _own_class(own / f"{adapter}.py")
    if adapter not in installed:
        known = ", ".join(sorted({*installed, *own_adapters(own)}))
        raise ChannelError(f"There is no channel adapter called {adapter!r}; there are {known}.")
    return installed[adapter].load()


def installed_adapters() -> list[str]:
    """Return the names of all installed channel adapters."""
    return sorted({entry.name for entry in installed_entries(GROUP)})


def own_adapters(folder: Path | None) -> list[str]:
    """Return the names of the adapters in a workspace's folder `channels`; nothing is run."""
    found = folder.glob("*.py") if folder and folder.is_dir() else ()
    return sorted(path.stem for path in found if _NAME.fullmatch(path.stem) and path.is_file())


def served_kinds(factory: Any) -> tuple[Kind, ...]:
    """Return the kinds of channel that an adapter's class serves."""
    named: tuple[Kind, ...] | None = getattr(factory, "kinds", None)
    return named or (factory.capabilities.kind,)


def service_factory(name: str) -> Any:
    """Return the class of the service called `name` from the entry-point group `treue.services`."""
    found = {entry.name: entry for entry in installed_entries("treue.services")}
    if name not in found:
        raise ChannelError(f"There is no service called {name!r} installed.")
    return found[name].load()


def _own_class(path: Path) -> Any:
    module = _loaded(path)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and all(hasattr(value, part) for part in _PARTS)
    ]
    if len(found) != 1:
        there = ", ".join(one.__name__ for one in found) or "none"
        raise ChannelError(
            f"channels/{path.name} must have exactly one class with `capabilities`, `send` and `close`; it has {there}."
        )
    return found[0]


def _loaded(path: Path) -> ModuleType:
    name = f"treue_workspace_channels.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ChannelError(
            f"channels/{path.name}, line {_line(error, path)}: {type(error).__name__}: {error}"
        ) from error
    return module


def _line(error: Exception, path: Path) -> int:
    """Return the line of the file at which its own code failed, or 1."""
    if isinstance(error, SyntaxError):
        return error.lineno or 1
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    return next((line for line in reversed(lines) if line), 1)

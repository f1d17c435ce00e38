"""The faces of a class: modules that lie beside its own and are imported at first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from treue.errors import TreueError


@cache
def face(type_: type[Any], name: str) -> ModuleType:
    """Return the module `name` that lies beside the one a class is defined in.

    Raises TreueError where there is none.
    """
    package = type_.__module__.rpartition(".")[0]
    try:
        return import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{name}":
            raise
        raise TreueError(f"The word {type_.__name__} has no {name}.py beside {type_.__module__}.") from error

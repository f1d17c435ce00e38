"""The SQL face of a leaf: what `sql.py` beside its `word.py` holds as `SQL`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement

from treue.model.faces import face
from treue.segments.columns import Facts
from treue.segments.moment import Moment
from treue.segments.tree import Leaf
from treue.segments.words import shown

L = TypeVar("L", bound=Leaf)


class LeafSql(ABC, Generic[L]):
    """What a leaf looks at in the database, whether that fits, and how it is told."""

    def observed(self, leaf: L, facts: Facts) -> list[ColumnElement[Any]]:
        """Return what it looks at: a value, a count, times."""
        return [facts[fact] for fact in leaf.facts()]

    @abstractmethod
    def holds(self, leaf: L, facts: Facts) -> ColumnElement[bool]:
        """Return whether it holds; NULL means no."""

    def seen(self, leaf: L, row: Sequence[Any]) -> list[Any]:
        """Return the values of `observed` as people are told them."""
        return list(row)

    @abstractmethod
    def told(self, leaf: L, seen: Sequence[Any], moment: Moment) -> str:
        """Return in words what was seen, and what of it was wanted."""


def sql_of(leaf: Leaf) -> LeafSql[Any]:
    """Return a leaf's SQL face. Raises TreueError where its word has none."""
    found: LeafSql[Any] = face(type(leaf), "sql").SQL
    return found


def tell(value: Any, moment: Moment, missing: str = "") -> str:
    """Return a value that was seen as people read it, a time on the moment's local clock."""
    if value is None:
        return missing
    if isinstance(value, datetime):
        return f"{moment.local(value):%Y-%m-%d %H:%M}"
    return shown(value)


def aim(wanted: str) -> str:
    """Return what is wanted, as it stands behind "wanted"."""
    return wanted.removeprefix("is ").removeprefix("has ")

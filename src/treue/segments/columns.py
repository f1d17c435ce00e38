"""The facts of some conditions as columns, and the joins that bring them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Subquery

from treue.model.faces import face
from treue.segments.fact import Fact
from treue.segments.needs import leaves
from treue.segments.sources.source import Scope, Source
from treue.segments.tree import Condition


class Facts:
    """What some conditions need to know: one column a fact."""

    def __init__(self, conditions: Sequence[Condition], scope: Scope, *, expiring: bool = False) -> None:
        """Gather the facts; with `expiring`, also those that say how long the answers stand."""
        self.scope = scope
        self._columns: dict[str, ColumnElement[Any]] = {}  # by text: equality takes `true` for `1`
        self._sources: list[Subquery] = []
        asked = [leaf for condition in conditions for leaf in leaves(condition)]
        wanted = [fact for leaf in asked for fact in leaf.facts()]
        if expiring:
            wanted += [one.fact for leaf in asked for one in leaf.expiries() or () if one.fact is not None]
        for facts in _by_source(wanted).values():
            self._add(facts)

    def __getitem__(self, fact: Fact) -> ColumnElement[Any]:
        """Return the column of a fact; NULL where there is nothing to count."""
        return self._columns[repr(fact)]

    def joined(self, base: FromClause, customer_id: ColumnElement[int]) -> FromClause:
        """Return `base` with every subquery joined to it."""
        for found in self._sources:
            base = base.outerjoin(found, self.scope.is_same(found, customer_id))
        return base

    def _add(self, facts: Sequence[Fact]) -> None:
        source: Source[Any] = face(type(facts[0]), "sql").SOURCE
        built = source.query(facts, self.scope).subquery(f"fact_{len(self._sources) + 1}")
        self._sources.append(built)
        self._columns |= {repr(fact): built.c[f"n{i}"] for i, fact in enumerate(facts)}


def _by_source(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    sources: dict[str, list[Fact]] = {}
    for fact in {repr(fact): fact for fact in facts}.values():
        sources.setdefault(repr(fact.source()), []).append(fact)
    return sources

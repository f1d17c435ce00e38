"""What an attribute is in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement

from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.model.tables import customer
from treue.segments.columns import Facts
from treue.segments.face import LeafSql, aim, tell
from treue.segments.moment import Moment
from treue.segments.typed import stored_as, typed
from treue.segments.unfit import NOUNS
from treue.segments.words import wanted
from treue.vocabulary.conditions.attribute.word import Attribute


class AttributeSql(LeafSql[Attribute]):
    """Reads the customer's own row."""

    def observed(self, leaf: Attribute, facts: Facts) -> list[ColumnElement[Any]]:
        """Return the value, NULL where it is missing or of another type; and of which one it is then."""
        if leaf.name in BUILT_IN_ATTRIBUTES:
            return [_value(leaf, facts)]
        stored = stored_as(customer.c.attributes, leaf.name, facts.scope.dialect)
        return [_value(leaf, facts), stored]

    def holds(self, leaf: Attribute, facts: Facts) -> ColumnElement[bool]:
        """Return whether the attribute's value passes the comparisons."""
        return facts.scope.fits(_value(leaf, facts), _type(leaf), leaf.ops)

    def seen(self, leaf: Attribute, row: Sequence[Any]) -> list[Any]:
        """Return the value; SQLite has numbers for booleans. Where it is of another type, nothing and that type."""
        one, stored = (*row, None)[:2]
        if one is None and stored is not None:
            return [None, stored]
        return [bool(one) if one is not None and _type(leaf) == "bool" else one]

    def told(self, leaf: Attribute, seen: Sequence[Any], moment: Moment) -> str:
        """Return the value and what is wanted of it."""
        found = tell(seen[0], moment, "missing")
        if len(seen) > 1:
            found += f", as it is stored as {NOUNS[seen[1]]} and declared as {NOUNS[leaf.type]}"
        return f"{found}, wanted {aim(wanted(leaf.ops))}"


def _value(leaf: Attribute, facts: Facts) -> ColumnElement[Any]:
    if leaf.name in BUILT_IN_ATTRIBUTES:
        return customer.c["key" if leaf.name == "id" else leaf.name]
    return typed(customer.c.attributes, leaf.name, leaf.type, facts.scope.dialect)


def _type(leaf: Attribute) -> str:
    built_in = BUILT_IN_ATTRIBUTES.get(leaf.name, leaf.type)
    return "instant" if leaf.name == "created_at" else built_in


SQL = AttributeSql()

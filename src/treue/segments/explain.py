"""Why a customer is in a segment or not: every leaf with what it saw and what it wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, cast, literal, select
from sqlalchemy.types import TypeEngine

from treue.model.tables import BigId, cohort, customer
from treue.segments.columns import Facts
from treue.segments.face import sql_of
from treue.segments.moment import Moment
from treue.segments.needs import leaves
from treue.segments.sources.source import Scope
from treue.segments.sql import Verdicts
from treue.segments.tree import All, AnyOf, Condition, InSegment, Leaf, Not


@dataclass(frozen=True)
class Explanation:
    """One node of a condition for one customer.

    `observed` is what a leaf saw (None where missing; a list where it looks at several things), `text` one
    sentence for people, `parts` the nodes below.
    """

    condition: Condition
    holds: bool
    observed: Any
    text: str
    parts: tuple[Explanation, ...] = ()


class Stay(NamedTuple):
    """What conditions may look at of a customer's stay; without it, nothing has happened since entry or arrival."""

    entered_at: datetime | None = None
    entered_effective_at: datetime | None = None
    entered_seq: int | None = None
    arrived_effective_at: datetime | None = None
    event_id: int | None = None
    enrollment_id: int | None = None


def explain(
    condition: Condition, moment: Moment, dialect: str, customer_id: int, stay: Stay | None = None
) -> Select[Any]:
    """Return the query for one row: each different leaf's verdict and what it saw; see `explanation`.

    No row means that there is no such customer. `stay` is for conditions that count since entry or arrival, or ask
    for the same as the event that started it; what it does takes effect no earlier than its entry.
    """
    known = (stay or Stay())._asdict()
    if known["enrollment_id"] is None:
        del known["enrollment_id"]
    if stay is not None and stay.entered_effective_at is not None:
        known |= {"at": moment.now, "effective_at": max(moment.now, stay.entered_effective_at)}
    columns: list[ColumnElement[Any]] = [literal(customer_id, BigId).label("customer_id")]
    columns += [cast(literal(value, _type(name)), _type(name)).label(name) for name, value in known.items()]
    one = select(*columns).subquery("one")
    facts = Facts([condition], Scope(moment, dialect, one))
    verdicts = Verdicts(facts)
    found: list[Any] = [customer.c.id.label("customer_id")]
    for i, leaf in enumerate(_different(condition).values()):
        found.append(verdicts.total(leaf).label(f"h{i}"))
        found += [seen.label(f"o{i}_{k}") for k, seen in enumerate(verdicts.observed(leaf))]
    base = one.join(customer, customer.c.id == one.c.customer_id)
    return select(*found).select_from(facts.joined(base, customer.c.id))


def _type(column: str) -> TypeEngine[Any]:
    return cohort.c[column].type


def explanation(condition: Condition, row: Mapping[str, Any], moment: Moment) -> Explanation:
    """Turn the row of `explain` (as a mapping) into a tree. Times are told on the moment's local clock."""
    return _Reader(condition, row, moment).read(condition)


def _different(condition: Condition) -> dict[str, Leaf]:
    """Number the leaves by their text: unlike equality, it tells `true` from `1`."""
    return {repr(leaf): leaf for leaf in leaves(condition)}


class _Reader:
    def __init__(self, condition: Condition, row: Mapping[str, Any], moment: Moment) -> None:
        self._row, self._moment = row, moment
        self._number = {text: i for i, text in enumerate(_different(condition))}

    def read(self, condition: Condition) -> Explanation:
        match condition:
            case All():
                return self._group(condition, condition.parts, "all of these")
            case AnyOf():
                return self._group(condition, condition.parts, "any of these")
            case Not():
                part = self.read(condition.part)
                text = f"not: {part.text}"
                return Explanation(condition, not part.holds, not part.holds, text, (part,))
            case InSegment():
                part = self.read(condition.condition)
                text = f"{'in' if part.holds else 'not in'} segment {condition.name}"
                return Explanation(condition, part.holds, part.holds, text, (part,))
        assert isinstance(condition, Leaf)
        return self._leaf(condition)

    def _group(self, condition: All | AnyOf, inner: tuple[Condition, ...], name: str) -> Explanation:
        parts = tuple(map(self.read, inner))
        count = sum(part.holds for part in parts)
        holds = count == len(parts) if isinstance(condition, All) else count > 0
        return Explanation(condition, holds, count, f"{name}: {count} of {len(parts)} hold", parts)

    def _leaf(self, leaf: Leaf) -> Explanation:
        number, row = self._number[repr(leaf)], list[Any]()
        while f"o{number}_{len(row)}" in self._row:
            row.append(_plain(self._row[f"o{number}_{len(row)}"]))
        sql = sql_of(leaf)
        seen = sql.seen(leaf, row)
        text = f"{leaf.subject()}: {sql.told(leaf, seen, self._moment)}"
        return Explanation(leaf, bool(self._row[f"h{number}"]), seen[0] if len(seen) == 1 else seen, text)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value

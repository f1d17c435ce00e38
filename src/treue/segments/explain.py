"""Why a customer is in a segment or not: every leaf with what it saw and what it wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, cast, literal, select

from treue.model.tables import BigId, customer
from treue.model.types import Instant
from treue.segments.moment import Moment
from treue.segments.needs import leaves
from treue.segments.sources import Facts
from treue.segments.sql import Verdicts, attribute_type
from treue.segments.tree import (
    Aggregate,
    All,
    AnyOf,
    Attribute,
    Condition,
    Happened,
    InSegment,
    JourneyIs,
    MessageWas,
    Not,
    Reachable,
)
from treue.segments.words import shown, subject, times, wanted, words

__all__ = ["Explanation", "explain", "explanation", "words"]


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


def explain(
    condition: Condition,
    moment: Moment,
    dialect: str,
    customer_id: int,
    entered_at: datetime | None = None,
    arrived_at: datetime | None = None,
    event_id: int | None = None,
) -> Select[Any]:
    """Return the query for one row: each different leaf's verdict and what it saw; see `explanation`.

    No row means that there is no such customer. The last three are the customer's stay, for conditions that count
    since entry or arrival, or ask for the same as the event that started it; without them, nothing has happened.
    """
    stay: dict[str, ColumnElement[Any]] = {
        "customer_id": literal(customer_id, BigId),
        "entered_at": cast(literal(entered_at, Instant), Instant),
        "arrived_at": cast(literal(arrived_at, Instant), Instant),
        "event_id": cast(literal(event_id, BigId), BigId),
    }
    one = select(*(value.label(name) for name, value in stay.items())).subquery("one")
    facts = Facts([condition], moment, dialect, one)
    verdicts = Verdicts(facts, moment, dialect)
    columns: list[Any] = [customer.c.id.label("customer_id")]
    for i, leaf in enumerate(_different(condition).values()):
        columns.append(verdicts.total(leaf).label(f"h{i}"))
        columns += [seen.label(f"o{i}_{k}") for k, seen in enumerate(verdicts.observed(leaf))]
    base = one.join(customer, customer.c.id == one.c.customer_id)
    return select(*columns).select_from(facts.joined(base, customer.c.id))


def explanation(condition: Condition, row: Mapping[str, Any], moment: Moment) -> Explanation:
    """Turn the row of `explain` (as a mapping) into a tree. Times are told on the moment's local clock."""
    return _Reader(condition, row, moment).read(condition)


def _different(condition: Condition) -> dict[str, Condition]:
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
        return self._leaf(condition)

    def _group(self, condition: All | AnyOf, inner: tuple[Condition, ...], name: str) -> Explanation:
        parts = tuple(map(self.read, inner))
        count = sum(part.holds for part in parts)
        holds = count == len(parts) if isinstance(condition, All) else count > 0
        return Explanation(condition, holds, count, f"{name}: {count} of {len(parts)} hold", parts)

    def _leaf(self, leaf: Condition) -> Explanation:
        number = self._number[repr(leaf)]
        holds = bool(self._row[f"h{number}"])
        seen: list[Any] = []
        while f"o{number}_{len(seen)}" in self._row:
            seen.append(self._row[f"o{number}_{len(seen)}"])
        seen = [_plain(one) for one in seen]
        if isinstance(leaf, Happened):
            return self._happened(leaf, holds, seen)
        if isinstance(leaf, Reachable):
            return Explanation(leaf, holds, seen, f"{subject(leaf)}: {self._reached(*seen)}")
        (one,) = seen
        if isinstance(leaf, Aggregate) and one is None and leaf.function in ("sum", "count_distinct"):
            one = 0
        if isinstance(leaf, Attribute) and one is not None and attribute_type(leaf) == "bool":
            one = bool(one)
        return Explanation(leaf, holds, one, f"{subject(leaf)}: {self._seen(leaf, one)}")

    def _seen(self, leaf: Condition, value: Any) -> str:
        if isinstance(leaf, Attribute | Aggregate):
            return f"{self._told(value, 'missing')}, wanted {_aim(wanted(leaf.ops))}"
        if isinstance(leaf, MessageWas):
            return self._told(value, "never")
        if isinstance(leaf, JourneyIs):
            return self._stood(leaf, value)
        return "no" if value is None else f"yes, since {self._told(value, '')}"

    def _stood(self, leaf: JourneyIs, value: Any) -> str:
        told = self._told(value, "")
        if leaf.state == "never":
            return f"no, came in first {told}" if told else "yes"
        return f"yes, {'since ' if leaf.state == 'inside' else ''}{told}" if told else "no"

    def _reached(self, address: Any, agreed: Any, suppressed: Any) -> str:
        against = ["no address"] if address is None else []
        against += ["has not agreed"] if agreed is None else []
        against += [f"suppressed since {self._told(suppressed, '')}"] if suppressed is not None else []
        return f"no: {', '.join(against)}" if against else f"yes, agreed since {self._told(agreed, '')}"

    def _happened(self, leaf: Happened, holds: bool, seen: list[Any]) -> Explanation:
        told: list[str] = []
        counted = bool(leaf.ops) or not (leaf.last or leaf.first)
        if counted:
            seen[0] = seen[0] or 0
            told.append(f"{seen[0]}, wanted {times(leaf.ops) if leaf.ops else 'at least 1'}")
        moments = seen[counted:]
        for name, ops in (("last", leaf.last), ("first", leaf.first)):
            if ops:
                told.append(f"{name} {self._told(moments.pop(0), 'never')}, wanted {_aim(wanted(ops))}")
        observed = seen[0] if len(seen) == 1 else seen
        return Explanation(leaf, holds, observed, f"{subject(leaf)}: {'; '.join(told)}")

    def _told(self, value: Any, missing: str) -> str:
        if value is None:
            return missing
        if isinstance(value, datetime):
            return f"{self._moment.local(value):%Y-%m-%d %H:%M}"
        return shown(value)


def _aim(text: str) -> str:
    return text.removeprefix("is ").removeprefix("has ")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return int(value) if whole else float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value

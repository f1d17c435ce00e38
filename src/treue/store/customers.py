"""Customers: found by the company's own key, created and merged in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from treue.clock import known_zone
from treue.errors import RejectedInput
from treue.model.tables import customer, event
from treue.store import addresses, dialect, validation, zones
from treue.store.inputs import CustomerInput

COLUMNS = ("email", "phone", "push_token", "locale", "timezone")
DRAWS = 2**31 - 1


@dataclass(frozen=True)
class Merged:
    """What a bulk of customers came to: ids in the order given, how many were new, how many changed.

    `notes` are sentences about what was left out, such as an unknown time zone.
    """

    ids: list[int]
    created: int
    updated: int
    notes: list[str]


@dataclass(frozen=True)
class _Patch:
    """What is to be written on one customer, in its normal form."""

    key: str
    columns: dict[str, str | None]
    attributes: dict[str, Any]
    created_at: datetime | None
    source: str


def draw(key: str) -> int:
    """Return the stable 31-bit number of a customer's key, 0 <= draw < 2**31 - 1."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % DRAWS


def upsert(connection: Connection, rows: Sequence[CustomerInput], now: datetime) -> list[int]:
    """Create or merge customers and return their ids in the order given; see `merge`."""
    return merge(connection, rows, now).ids


def merge(connection: Connection, rows: Sequence[CustomerInput], now: datetime) -> Merged:
    """Create or merge customers: named columns and attributes win, all others stay.

    Each new customer has a `customer.created` event. Raises RejectedInput, and keeps nothing, where a key,
    an address or the size of a record does not fit (see `problem`).
    """
    notes: list[str] = []
    patches = _collapsed(rows, notes)
    zones.ensure(connection, {zone for patch in patches.values() if (zone := patch.columns.get("timezone"))})
    known = _locked(connection, patches)
    created = _insert(connection, [patches[key] for key in sorted(patches.keys() - known.keys())], now)
    raced = patches.keys() - known.keys() - created.keys()
    known |= _locked(connection, raced) if raced else {}
    updated = _update(connection, [(row, patches[key]) for key, row in known.items()], now)
    ids = created | {key: row["id"] for key, row in known.items()}
    return Merged([ids[row.key] for row in rows], len(created), updated, notes)


def ensure(
    connection: Connection,
    keys: Iterable[str],
    now: datetime,
    source: str = "api",
    since: Mapping[str, datetime] | None = None,
) -> dict[str, int]:
    """Return the ids of these keys, creating customers nobody has heard of yet.

    `since` says from when on such a customer is known, where that is not `now`.
    """
    wanted = set(keys)
    known = ids_for_keys(connection, wanted)
    missing = sorted(wanted - known.keys())
    if missing:
        begun = since or {}
        patches = [_Patch(key, {}, {}, begun.get(key, now), source) for key in missing]
        known |= _insert(connection, patches, now)
        if len(known) < len(wanted):
            known |= ids_for_keys(connection, wanted - known.keys())
    return known


def find(connection: Connection, key: str) -> RowMapping | None:
    """Return the customer with this key, all columns, or None."""
    return connection.execute(select(customer).where(customer.c.key == key)).mappings().first()


def ids_for_keys(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of those keys that are known."""
    statement = select(customer.c.key, customer.c.id).where(dialect.among(connection, customer.c.key, keys))
    return {row.key: row.id for row in connection.execute(statement)}


def touch(connection: Connection, ids: Iterable[int], now: datetime) -> None:
    """Note that something about these customers changed."""
    listed = sorted(set(ids))
    if not listed:
        return
    where = dialect.among(connection, customer.c.id, listed)
    if dialect.is_postgresql(connection):  # in one order, or two touching transactions could deadlock
        locked = select(customer.c.id).where(where).order_by(customer.c.id)
        connection.execute(locked.with_for_update(key_share=True)).close()
    connection.execute(update(customer).where(where).values(updated_at=now))


def problem(row: CustomerInput) -> str | None:
    """Return why this customer cannot be kept, as a sentence, or None."""
    try:
        _patch(row, [])
    except RejectedInput as rejected:
        return str(rejected)
    return None


def _collapsed(rows: Sequence[CustomerInput], notes: list[str]) -> dict[str, _Patch]:
    patches: dict[str, _Patch] = {}
    for row in rows:
        patch, before = _patch(row, notes), patches.get(row.key)
        if before:
            patch = _Patch(
                row.key,
                before.columns | patch.columns,
                before.attributes | patch.attributes,
                before.created_at or patch.created_at,
                before.source,
            )
        patches[row.key] = patch
    return patches


def _patch(row: CustomerInput, notes: list[str]) -> _Patch:
    refusal = validation.key_problem(row.key, "The customer's id") or validation.bounded(
        row.attributes, f"The customer {addresses.shown(row.key)}"
    )
    if refusal:
        raise RejectedInput(refusal)
    given = {name: value for name in COLUMNS if (value := getattr(row, name)) is not None}
    columns = {name: _column(row.key, name, value, notes) for name, value in given.items()}
    return _Patch(row.key, columns, dict(row.attributes), row.created_at, row.source)


def _column(key: str, name: str, value: str, notes: list[str]) -> str | None:
    if not value.strip():
        return None
    if name == "email":
        return addresses.email(value)
    if name == "phone":
        return addresses.phone(value)
    if name == "push_token":
        return addresses.push_token(value)
    if len(value) > validation.MAX_NAME or not value.isprintable():
        raise RejectedInput(
            f"The {name} {addresses.shown(value)} of customer {addresses.shown(key)} is none."
        )
    if name == "timezone" and not known_zone(value.strip()):
        notes.append(
            f"The time zone {addresses.shown(value)} of customer {addresses.shown(key)} is unknown and was "
            "left out; names are like Europe/Berlin."
        )
        return None
    return value.strip()


def _locked(connection: Connection, keys: Iterable[str]) -> dict[str, RowMapping]:
    columns = (customer.c.id, customer.c.key, customer.c.attributes, *(customer.c[name] for name in COLUMNS))
    statement = select(*columns).where(dialect.among(connection, customer.c.key, keys))
    rows = connection.execute(statement.order_by(customer.c.key).with_for_update(key_share=True))
    return {row["key"]: row for row in rows.mappings()}


def _insert(connection: Connection, patches: Sequence[_Patch], now: datetime) -> dict[str, int]:
    """Insert customers in the order of their keys; return the ids of those that were not there."""
    blank: dict[str, str | None] = dict.fromkeys(COLUMNS)
    rows = [
        {
            **blank,
            **patch.columns,
            "key": patch.key,
            "draw": draw(patch.key),
            "attributes": _without_none(patch.attributes),
            "created_at": patch.created_at or now,
            "updated_at": now,
        }
        for patch in patches
    ]
    new = dialect.insert_new(connection, customer, rows, ("key",), ("id", "key"))
    ids = {row.key: row.id for row in new}
    _announce(connection, [(ids[patch.key], patch) for patch in patches if patch.key in ids], now)
    return ids


def _announce(connection: Connection, created: Sequence[tuple[int, _Patch]], now: datetime) -> None:
    rows = [
        {
            "key": f"treue:customer.created:{patch.key}",
            "customer_id": id_,
            "name": "customer.created",
            "at": patch.created_at or now,
            "properties": {"source": patch.source},
            "source": patch.source,
            "received_at": now,
        }
        for id_, patch in created
    ]
    dialect.insert_new(connection, event, rows, ("key",), ("id",))


def _update(connection: Connection, pairs: Sequence[tuple[RowMapping, _Patch]], now: datetime) -> int:
    names = (*COLUMNS, "attributes")
    changed = []
    for row, patch in pairs:
        attributes = _without_none({**row["attributes"], **patch.attributes})
        after = {**{name: row[name] for name in COLUMNS}, **patch.columns, "attributes": attributes}
        if any(after[name] != row[name] for name in names):
            changed.append({**after, "row_id": row["id"]})
    types = {name: customer.c[name].type for name in names} | {"row_id": customer.c.id.type}
    for start in range(0, len(changed), dialect.BATCH):
        given = dialect.rows_as_table(connection, types, changed[start : start + dialect.BATCH])
        after = {name: given.c[name] for name in names} | {"updated_at": now}
        connection.execute(update(customer).where(customer.c.id == given.c.row_id).values(after))
    return len(changed)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

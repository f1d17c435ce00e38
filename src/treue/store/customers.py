"""Customers: found by the company's own key, created and merged in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from treue.clock import known_zone
from treue.errors import RejectedInput
from treue.model.states import CUSTOMER_CREATED
from treue.model.tables import customer, event
from treue.store import addresses, aliases, changes, dialect, sequence, tellings, validation, zones
from treue.store.inputs import CustomerInput

COLUMNS = ("email", "phone", "push_token", "locale", "timezone")
_KEYS = {"email": ("email", "email_key"), "push_token": ("push", "push_key")}
"""The columns whose key has a column of its own: which channel's address that is, and where its key is."""

_WRITTEN = (*COLUMNS, *(key for _, key in _KEYS.values()))
_READ = (customer.c.id, customer.c.key, customer.c.attributes, *(customer.c[name] for name in _WRITTEN))
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
    as_of: datetime | None = None

    @property
    def named(self) -> dict[str, Any]:
        """What it names, with the new values, by the names of `change`."""
        attributes = {name: value for name, value in self.attributes.items() if name not in COLUMNS}
        return attributes | {name: self.columns[name] for name in COLUMNS if name in self.columns}


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
    aliases.hold(connection)
    notes: list[str] = []
    given = [_patch(row, notes) for row in rows]
    records = aliases.standing_for(connection, {row.key for row in rows})
    patches = _collapsed(replace(one, key=records.get(one.key, one.key)) for one in given)
    zones.ensure(connection, {zone for patch in patches.values() if (zone := patch.columns.get("timezone"))})
    tokens = _registered(patches)
    holders = _holders(connection, tokens)
    locked = _locked(connection, patches.keys() | holders)
    patches = _without_outdated(connection, patches, locked)
    patches, losing = _of_the_last(patches, locked, tokens)
    known = {key: row for key, row in locked.items() if key in patches}
    created = _insert(connection, [patches[key] for key in sorted(patches.keys() - known.keys())], now)
    raced = patches.keys() - known.keys() - created.keys()
    known |= _locked(connection, raced) if raced else {}
    updated = _update(
        connection, [(known[key], patch) for key, patch in patches.items() if key in known], now
    )
    _update(connection, [(locked[key], patch) for key, patch in losing.items()], now)
    ids = created | {key: row["id"] for key, row in known.items()}
    tellings.keep(
        connection,
        {(ids[key], patch.source): patch.as_of for key, patch in patches.items() if patch.as_of},
    )
    found = [ids[records.get(row.key, row.key)] for row in rows]
    return Merged(found, len(created), updated, notes)


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
    aliases.hold(connection)
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
    """Return the customer whom this key names, all columns, or None; the `key` is another where it is an alias."""
    named = select(aliases.named(connection, [key]).c.id)
    return connection.execute(select(customer).where(customer.c.id.in_(named))).mappings().first()


def ids_for_keys(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """Return the ids of those keys that are known. Who is to write of them has `aliases.hold` before."""
    return {row.key: row.id for row in connection.execute(select(aliases.named(connection, keys)))}


def touch(connection: Connection, ids: Iterable[int], now: datetime) -> None:
    """Note that something about these customers changed."""
    listed = sorted(set(ids))
    if not listed:
        return
    lock(connection, listed)
    where = dialect.among(connection, customer.c.id, listed)
    connection.execute(update(customer).where(where).values(updated_at=now))


def lock(connection: Connection, ids: Iterable[int]) -> None:
    """Let nobody else change these customers until the transaction ends; SQLite's writer is alone anyway."""
    if dialect.is_postgresql(connection):  # in one order, or two transactions could deadlock
        where = dialect.among(connection, customer.c.id, ids)
        locked = select(customer.c.id).where(where).order_by(customer.c.id)
        connection.execute(locked.with_for_update(key_share=True)).close()


def records(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return what the records of these customers say, by the names of `change`; consents are not among it."""
    return {id_: said(row) for id_, row in _by_id(connection, ids).items()}


def said(row: RowMapping) -> dict[str, Any]:
    """Return what a customer's row says, by the names of `change`: an attribute never hides a column."""
    return {**row["attributes"], **{name: row[name] for name in COLUMNS}}


def rewrite(connection: Connection, told: Mapping[int, Mapping[str, Any]]) -> None:
    """Let records say something else of what is named, by the customers' ids; that is no change, and none is kept."""
    known = _by_id(connection, told)
    _write(connection, [_after(known[id_], named) for id_, named in told.items() if id_ in known])


def _by_id(connection: Connection, ids: Iterable[int]) -> dict[int, RowMapping]:
    statement = select(*_READ).where(dialect.among(connection, customer.c.id, ids))
    return {row["id"]: row for row in connection.execute(statement).mappings()}


def _after(row: RowMapping, named: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in named.items() if name in COLUMNS}
    attributes = {name: value for name, value in named.items() if name not in COLUMNS}
    return {
        **{name: row[name] for name in _WRITTEN},
        **_with_keys(columns),
        "attributes": _without_none({**row["attributes"], **attributes}),
        "row_id": row["id"],
    }


def _registered(patches: Mapping[str, _Patch]) -> dict[str, str]:
    """Return who registers each push token that is named, by its key: of several, the last one."""
    return {token: key for key, patch in patches.items() if (token := patch.columns.get("push_key"))}


def _holders(connection: Connection, tokens: Mapping[str, str]) -> set[str]:
    """Return the keys of the customers who have had these push tokens so far."""
    if not tokens:
        return set()
    statement = select(customer.c.key).where(dialect.among(connection, customer.c.push_key, tokens))
    return set(connection.scalars(statement))


def _of_the_last(
    patches: Mapping[str, _Patch], locked: Mapping[str, RowMapping], tokens: Mapping[str, str]
) -> tuple[dict[str, _Patch], dict[str, _Patch]]:
    """Return the patches, and those of further customers, by which each push token belongs to who registers it.

    A telephone that somebody else uses from now on shows nobody the messages of whom it belonged to.
    """
    gone: dict[str, str | None] = {"push_token": None, "push_key": None}

    def loses(key: str, token: str | None) -> bool:
        return token is not None and tokens.get(token, key) != key

    kept = dict(patches)
    for key, patch in patches.items():
        had = locked[key]["push_key"] if key in locked else None
        if loses(key, patch.columns.get("push_key", had)):
            kept[key] = replace(patch, columns={**patch.columns, **gone})
    losing = {
        key: _Patch(key, gone, {}, None, "")
        for key, row in locked.items()
        if key not in patches and loses(key, row["push_key"])
    }
    return kept, losing


def problem(row: CustomerInput) -> str | None:
    """Return why this customer cannot be kept, as a sentence, or None."""
    try:
        _patch(row, [])
    except RejectedInput as rejected:
        return str(rejected)
    return None


def _collapsed(given: Iterable[_Patch]) -> dict[str, _Patch]:
    patches: dict[str, _Patch] = {}
    for patch in given:
        patches[patch.key] = _together(before, patch) if (before := patches.get(patch.key)) else patch
    return patches


def _together(one: _Patch, other: _Patch) -> _Patch:
    """Return what two patches of a customer come to: the later given wins, unless it is told as of an earlier time."""
    older, newer = one, other
    if one.as_of and other.as_of and other.as_of < one.as_of:
        older, newer = other, one
    return _Patch(
        one.key,
        older.columns | newer.columns,
        older.attributes | newer.attributes,
        one.created_at or other.created_at,
        one.source,
        newer.as_of or older.as_of,
    )


def _without_outdated(
    connection: Connection, patches: Mapping[str, _Patch], locked: Mapping[str, RowMapping]
) -> dict[str, _Patch]:
    """Return the patches; those older than what their source has told before say nothing."""
    dated = {key: patch for key, patch in patches.items() if patch.as_of and key in locked}
    told = {(locked[key]["id"], patch.source): patch.as_of for key, patch in dated.items() if patch.as_of}
    outdated = tellings.outdated(connection, told)
    silent = {key for key, patch in dated.items() if (locked[key]["id"], patch.source) in outdated}
    return {
        key: replace(patch, columns={}, attributes={}) if key in silent else patch
        for key, patch in patches.items()
    }


def _patch(row: CustomerInput, notes: list[str]) -> _Patch:
    refusal = validation.key_problem(row.key, "The customer's id") or validation.bounded(
        row.attributes, f"The customer {addresses.shown(row.key)}"
    )
    if refusal:
        raise RejectedInput(refusal)
    given = {name: value for name in COLUMNS if (value := getattr(row, name)) is not None}
    columns = {name: _column(row.key, name, value, notes) for name, value in given.items()}
    return _Patch(row.key, _with_keys(columns), dict(row.attributes), row.created_at, row.source, row.as_of)


def _with_keys(columns: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the columns with the keys of the addresses among them."""
    keyed = dict(columns)
    for name, (channel, key) in _KEYS.items():
        if name in columns:
            keyed[key] = addresses.key(channel, address) if (address := columns[name]) else None
    return keyed


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
    statement = select(*_READ).where(dialect.among(connection, customer.c.key, keys))
    rows = connection.execute(statement.order_by(customer.c.key).with_for_update(key_share=True))
    return {row["key"]: row for row in rows.mappings()}


def _insert(connection: Connection, patches: Sequence[_Patch], now: datetime) -> dict[str, int]:
    """Insert customers in the order of their keys; return the ids of those that were not there."""
    blank: dict[str, str | None] = dict.fromkeys(_WRITTEN)
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
    seq = sequence.take(len(created) + 1)
    rows = [
        {
            "key": f"treue:customer.created:{patch.key}",
            "customer_id": id_,
            "name": CUSTOMER_CREATED,
            "at": patch.created_at or now,
            "properties": {"source": patch.source},
            "source": patch.source,
            "received_at": now,
            "effective_at": max(patch.created_at or now, now),
            "seq": seq + n,
        }
        for n, (id_, patch) in enumerate(created)
    ]
    dialect.insert_new(connection, event, rows, ("key", "scope"), ("id",))


def _update(connection: Connection, pairs: Sequence[tuple[RowMapping, _Patch]], now: datetime) -> int:
    names = (*_WRITTEN, "attributes")
    changed, told, seq = [], list[changes.Change](), sequence.take(len(pairs) + 1)
    owing = changes.owing(connection, {row["id"] for row, _ in pairs}, now)
    for n, (row, patch) in enumerate(pairs):
        owes = row["id"] in owing
        attributes = _without_none({**row["attributes"], **patch.attributes})
        after = {**{name: row[name] for name in _WRITTEN}, **patch.columns, "attributes": attributes}
        if any(after[name] != row[name] for name in names):
            changed.append({**after, "row_id": row["id"]})
        told += changes.between(row["id"], said(row), patch.named, now, seq + n, owes=owes)
    changes.record(connection, told)
    _write(connection, changed, updated_at=now)
    return len(changed)


def _write(connection: Connection, rows: Sequence[Mapping[str, Any]], **besides: Any) -> None:
    names = (*_WRITTEN, "attributes")
    types = {name: customer.c[name].type for name in names} | {"row_id": customer.c.id.type}
    for start in range(0, len(rows), dialect.BATCH):
        given = dialect.rows_as_table(connection, types, rows[start : start + dialect.BATCH])
        after = {name: given.c[name] for name in names} | besides
        connection.execute(update(customer).where(customer.c.id == given.c.row_id).values(after))


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}

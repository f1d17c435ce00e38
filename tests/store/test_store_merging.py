"""What two records come to as one: the newer value, the stricter word, whatever the order in which all of that is told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from treue.errors import RejectedInput
from treue.model.tables import event, opt_out
from treue.store import consent_standing, consents, customers, merging
from treue.store.inputs import ConsentInput, CustomerInput
from treue.store.seclusion import seclude
from treue.store.store import Store

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMES = ("city", "size", "email", "locale")


def _merge(connection: Connection, kept: str, merged: str, now: datetime) -> None:
    seclude(connection, [kept, merged])
    found = merging.outlook(connection, kept, merged)
    assert found is not None
    merging.carry_out(connection, found, now)


def _put(connection: Connection, key: str, now: datetime, **values: Any) -> None:
    built_in = {name: values.pop(name) for name in ("email", "locale") if name in values}
    customers.upsert(connection, [CustomerInput(key, attributes=values, **built_in)], now)


# --- the rule, read plainly ---------------------------------------------------------------------------------


@dataclass
class Record:
    """What is known of one record: each thing with when it was told; of each channel whether agreed, and since when."""

    told: dict[str, tuple[datetime, Any]] = field(default_factory=dict)
    words: dict[str, tuple[datetime, bool]] = field(default_factory=dict)

    def take(self, other: Record) -> None:
        for name, told in other.told.items():
            if name not in self.told or told[0] > self.told[name][0]:
                self.told[name] = told
        for channel, (at, given) in other.words.items():
            mine = self.words.get(channel)
            if mine is None:
                self.words[channel] = (at, given)
            else:
                self.words[channel] = (max(at, mine[0]), given and mine[1])


def _life(seed: int) -> Iterator[tuple[datetime, str, str, Any]]:
    """Yield what happens to four records of one person, at instants of their own: told, said, or merged."""
    dice, now = random.Random(seed), NOW
    left = [f"{seed}-{name}" for name in "abcd"]
    for key in left:
        now += timedelta(minutes=1)
        yield now, "told", key, {name: _value(dice, name) for name in NAMES if dice.random() < 0.5}
    keys = list(left)
    while len(left) > 1:
        now += timedelta(minutes=dice.randint(1, 90))
        match dice.randint(0, 3):
            case 0:
                kept, merged = dice.sample(left, 2)
                left.remove(merged)
                yield now, "merged", kept, merged
            case 1:
                yield now, "said", dice.choice(keys), (dice.choice(("email", "sms")), dice.random() < 0.6)
            case _:
                name = dice.choice(NAMES)
                yield (
                    now,
                    "told",
                    dice.choice(keys),
                    {name: _value(dice, name) if dice.random() < 0.8 else None},
                )


def _value(dice: random.Random, name: str) -> Any:
    word = dice.choice(("red", "green", "blue"))
    return f"{word}@example.com" if name == "email" else word


def _lived(store: Store, seed: int) -> tuple[dict[str, Any], dict[str, tuple[datetime, bool]], Record]:
    """Return what the records' one record says in the end, what stands on channels, and what should."""
    records: dict[str, Record] = {}
    meant: dict[str, str] = {}

    def of(key: str) -> Record:
        while key in meant:
            key = meant[key]
        return records.setdefault(key, Record())

    for at, what, key, said in _life(seed):
        with store.transaction() as connection:
            if what == "merged":
                of(key).take(records.pop(said))
                meant[said] = key
                _merge(connection, key, said, at)
            elif what == "told":
                record = of(key)
                known = {name: value for name, (_, value) in record.told.items()}
                news = {name: value for name, value in said.items() if known.get(name) != value}
                record.told |= {name: (at, value) for name, value in news.items()}
                _put(
                    connection,
                    key,
                    at,
                    **{
                        name: "" if value is None and name in ("email", "locale") else value
                        for name, value in said.items()
                    },
                )
            else:
                channel, given = said
                record = of(key)
                record.words[channel] = (at, given)
                speak = consents.give if given else consents.withdraw
                speak(connection, [ConsentInput(key, channel, at)], at)
            connection.execute(update(event).values(routed_at=at))  # nothing is pending
    [expected] = records.values()
    with store.reading() as connection:
        row = customers.find(connection, f"{seed}-a")
        assert row is not None
        standing = consent_standing.standing(connection, [row["id"]])
    words = {channel: (one["since"], one["given"]) for (_, channel), one in standing.items()}
    return {name: value for name, value in customers.said(row).items() if value is not None}, words, expected


@pytest.mark.parametrize("seed", range(24))
def test_the_newer_value_and_the_stricter_word_stand_whenever_records_are_merged(
    store: Store, seed: int
) -> None:
    said, words, expected = _lived(store, seed)
    assert said == {name: value for name, (_, value) in expected.told.items() if value is not None}
    assert words == expected.words


# --- what is not seen in random lives -----------------------------------------------------------------------


def test_a_record_knows_since_when_it_was_first_known(store: Store) -> None:
    with store.transaction() as connection:
        _put(connection, "old", NOW)
        _put(connection, "new", NOW + timedelta(days=1))
        _merge(connection, "new", "old", NOW + timedelta(days=2))
        found = customers.find(connection, "old")
    assert found is not None
    assert (found["key"], found["created_at"]) == ("new", NOW)


def test_an_address_that_goes_over_says_stop_where_its_customer_has(store: Store) -> None:
    with store.transaction() as connection:
        _put(connection, "a", NOW, email="a@example.com")
        consents.withdraw(connection, [ConsentInput("a", "email", NOW)], NOW)
        _put(connection, "b", NOW + timedelta(days=1), email="b@example.com")
        _put(connection, "mate", NOW, email="B@example.com")
        _merge(connection, "a", "b", NOW + timedelta(days=2))
        rows = connection.execute(select(opt_out.c.address).order_by(opt_out.c.address)).scalars().all()
    assert rows == ["a@example.com", "b@example.com"]


def test_what_has_no_room_in_one_record_is_refused(store: Store) -> None:
    with store.transaction() as connection:
        _put(connection, "a", NOW, **{f"a{n}": n for n in range(120)})
        _put(connection, "b", NOW, **{f"b{n}": n for n in range(120)})
    with store.transaction() as connection, pytest.raises(RejectedInput, match="once merged"):
        _merge(connection, "a", "b", NOW)


def test_one_bulk_may_name_a_record_by_all_its_keys(store: Store) -> None:
    with store.transaction() as connection:
        _put(connection, "a", NOW)
        _put(connection, "b", NOW)
        _merge(connection, "a", "b", NOW)
        merged = customers.merge(
            connection,
            [
                CustomerInput("b", attributes={"x": 1}),
                CustomerInput("a", attributes={"x": 2}),
                CustomerInput("c"),
            ],
            NOW,
        )
        row = customers.find(connection, "b")
    assert merged.ids[0] == merged.ids[1] != merged.ids[2]
    assert merged.created == 1
    assert row is not None
    assert row["attributes"] == {"x": 2}

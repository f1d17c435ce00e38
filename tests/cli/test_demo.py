"""The demo's data and its shop; the whole of it is run by CI through `make demo`."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from treue.cli.authoring.demo import purchases
from treue.cli.authoring.demo.carts import Cart, Fate
from treue.cli.authoring.demo.life import START, Lived
from treue.cli.authoring.demo.purchases import Purchase
from treue.cli.authoring.demo.shop import Shopper, open_shop
from treue.cli.authoring.demo.summary import summary
from treue.store.inputs import EventInput


def test_the_real_purchases_are_taken_where_they_are(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREUE_DATA", str(data_dir))
    history = purchases.load_history()
    assert (history.real, len(history.purchases)) == (True, 69_659)


def test_the_package_that_ships_them_has_the_same_purchases(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATA", str(data_dir))
    ours = purchases.load_history().purchases
    monkeypatch.setenv("TREUE_DATA", str(tmp_path))
    packaged = purchases.load_history()
    if not packaged.real:
        pytest.skip("the package that ships CDNOW is not installed")
    assert Counter(packaged.purchases) == Counter(ours)


def test_without_any_data_a_shop_is_generated_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATA", str(tmp_path))
    monkeypatch.setattr(purchases, "_packaged_data", lambda: None)
    history = purchases.load_history()
    assert not history.real
    assert "generated" in history.origin
    assert len(history.purchases) > purchases.GENERATED_CUSTOMERS


def test_the_shop_is_the_same_each_time_and_its_people_are_made_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATA", str(tmp_path))
    monkeypatch.setattr(purchases, "_packaged_data", lambda: None)
    history = purchases.load_history().purchases[:2_000]
    shop = open_shop(history)
    assert shop.people == open_shop(history).people
    assert all(
        person.customer.email and person.customer.email.endswith("@example.com") for person in shop.people
    )
    assert all(
        not person.customer.phone or person.customer.phone.startswith("+447700900") for person in shop.people
    )
    assert {person.customer.locale for person in shop.people} == {"de", "en"}


def test_a_tenth_of_the_customers_are_moved_by_whole_weeks_so_that_there_are_newcomers(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATA", str(data_dir))
    shop = open_shop(purchases.load_history().purchases)
    first = [person.orders[0].at for person in shop.people]
    newcomers = [at for at in first if at and START <= at < START + timedelta(days=90)]
    assert shop.moved == 2_357
    assert len(newcomers) > 2_000


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Purchase]:
    monkeypatch.setenv("TREUE_DATA", str(tmp_path))
    monkeypatch.setattr(purchases, "_packaged_data", lambda: None)
    return purchases.load_history().purchases[:6_000]


def _carts(people: list[Shopper]) -> dict[Fate, list[tuple[Cart, Shopper]]]:
    found = [(cart, person) for person in people for cart in person.carts]
    return {fate: [pair for pair in found if pair[0].fate is fate] for fate in Fate}


def _time(what: EventInput) -> datetime:
    assert what.at is not None
    return what.at


def _ordered(cart: Cart, person: Shopper) -> list[EventInput]:
    """Return the orders that came out of a cart."""
    return [order for order in person.orders if order.properties["cart_id"] == cart.properties["cart_id"]]


@pytest.mark.parametrize(
    ("fate", "least", "most"),
    [
        (Fate.SOON, timedelta(minutes=1), timedelta(hours=4)),
        (Fate.LATER, timedelta(hours=4), timedelta(days=6)),
    ],
)
def test_a_cart_that_was_ordered_is_one_of_the_purchases_and_was_reported_before_it(
    generated: list[Purchase], fate: Fate, least: timedelta, most: timedelta
) -> None:
    found = _carts(open_shop(generated).people)[fate]
    assert len(found) > 50
    for cart, person in found:
        [order] = _ordered(cart, person)
        assert least <= _time(order) - _time(cart) <= most
        assert cart.properties["total"] == order.properties["total"]


def test_a_cart_that_nobody_ordered_comes_after_the_last_purchase_and_is_like_it(
    generated: list[Purchase],
) -> None:
    found = _carts(open_shop(generated).people)[Fate.NEVER]
    assert len(found) > 50
    for cart, person in found:
        last = person.orders[-1]
        assert _time(cart) > _time(last)
        assert cart.properties["total"] == last.properties["total"]
        assert _ordered(cart, person) == []


def test_carts_take_no_purchase_away(generated: list[Purchase]) -> None:
    orders = [order for person in open_shop(generated).people for order in person.orders]
    assert Counter(order.properties["total"] for order in orders) == Counter(one.amount for one in generated)


def test_a_customers_carts_hang_on_nobody_else(generated: list[Purchase]) -> None:
    whole = {person.customer.key: person for person in open_shop(generated).people}
    key = next(key for key, person in whole.items() if len(person.carts) > 1)
    [alone] = open_shop([one for one in generated if f"cd-{one.customer}" == key]).people
    assert [(cart.key, cart.fate) for cart in alone.carts] == [
        (cart.key, cart.fate) for cart in whole[key].carts
    ]


def test_the_last_screen_says_that_carts_are_made_up_and_what_became_of_them() -> None:
    lived = Lived()
    lived.count(
        [
            Cart("ada", "cart.abandoned", fate=fate)
            for fate in (Fate.SOON, Fate.SOON, Fate.SOON, Fate.LATER, Fate.LATER, Fate.NEVER)
        ]
    )
    said = " ".join(summary(lived, {}).split())
    assert (
        "6 abandoned carts, made up from the purchases: "
        "3 ordered within four hours, 2 later, within six days, and 1 never."
    ) in said
    assert lived.orders == 0

"""The demo's data and its shop; the whole of it is run by CI through `make demo`."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from treue.cli.demo import purchases
from treue.cli.demo.life import START
from treue.cli.demo.shop import open_shop


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

"""The shop, a small workspace that uses the step; and a store on SQLite and on PostgreSQL (`TREUE_TEST_POSTGRES`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from treue.store.store import Store

SHOP = Path(__file__).parent / "shop"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy of the shop."""
    return Path(shutil.copytree(SHOP, tmp_path / "shop"))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store, on each database."""
    address = os.environ.get("TREUE_TEST_POSTGRES")
    if request.param == "postgresql" and not address:
        pytest.skip("TREUE_TEST_POSTGRES names no PostgreSQL database for tests")
    url = address if request.param == "postgresql" else f"sqlite:///{tmp_path / 'treue.db'}"
    assert url is not None
    opened = Store.open(url, create=True)
    yield opened
    opened.close()

"""The stores that worlds are lived through on."""

from __future__ import annotations

import pytest

from tests.metamorphic.replay import DATABASES, OpenStore
from treue.store.store import Store


@pytest.fixture(params=[DATABASES[0], pytest.param(DATABASES[1], marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """The database that worlds are lived through on."""
    found: str = request.param
    return found


@pytest.fixture
def open_store(database: str, request: pytest.FixtureRequest) -> OpenStore:
    """Opens the store that worlds are lived through on, one after the other."""
    url = request.getfixturevalue(f"{database}_url")
    return lambda: Store.open(url)

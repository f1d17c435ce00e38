from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import Scene
from treue.store.store import Store


@pytest.fixture
def scene(store: Store, tmp_path: Path) -> Iterator[Scene]:
    """A fresh scene on each database; 2026-03-02 10:00 in Berlin, a Monday."""
    made = Scene(store, tmp_path / "state")
    yield made
    made.delivery.close()

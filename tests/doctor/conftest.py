"""A shop to examine, in an environment without anything of Treue's or Prefect's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.doctor.scene import Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in [*os.environ]:
        if name.startswith(("TREUE_", "PREFECT_", "SMTP_")) or name == "DO_NOT_TRACK":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SMTP_URL", "smtp://mail.shop.de")
    return Shop(tmp_path / "shop").write()

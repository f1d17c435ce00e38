"""What Prefect's server asks for: made once for each Prefect home, or what the user has set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from treue_flows import environment


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (environment.AUTH, "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", environment.OURS):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile is undone
        monkeypatch.delenv(name)


def test_the_server_and_whoever_talks_to_it_have_the_same_auth_string(tmp_path: Path) -> None:
    environment.point_to("http://127.0.0.1:4200/api", tmp_path)
    made = os.environ["PREFECT_API_AUTH_STRING"]
    assert made.startswith("treue:")
    assert len(made) > 40
    assert environment.for_the_server(tmp_path)[environment.AUTH] == made
    assert environment.AUTH not in os.environ, "other programs that are started here need not know"
    kept = environment.auth_file(tmp_path)
    assert kept
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text().strip() == made


def test_an_auth_string_that_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.AUTH, "me:mine")
    environment.point_to("http://127.0.0.1:4200/api", tmp_path)
    assert os.environ["PREFECT_API_AUTH_STRING"] == "me:mine"
    assert environment.for_the_server(tmp_path)[environment.AUTH] == "me:mine"
    assert environment.auth_file(tmp_path) is None
    assert list(tmp_path.iterdir()) == []

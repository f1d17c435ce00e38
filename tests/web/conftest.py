"""A served workspace, with every secret set."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that the tests here can import `serving`

from tests.web.serving import CRM_SECRET, KEY, SHOPIFY_SECRET, Site, copy_workspace, served


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment every test of the web starts from."""
    for name in ("TREUE_DATABASE", "TREUE_URL", "SMTP_URL", "TREUE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TREUE_API_KEY", KEY)
    monkeypatch.setenv("SHOPIFY_SECRET", SHOPIFY_SECRET)
    monkeypatch.setenv("CRM_SECRET", CRM_SECRET)


@pytest.fixture
def world(tmp_path: Path, surroundings: None) -> Iterator[Site]:
    """The reference workspace behind a real server, on SQLite."""
    with served(copy_workspace(tmp_path)) as site:
        yield site


@pytest.fixture
def world_on_each_database(
    tmp_path: Path, surroundings: None, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """The reference workspace behind a real server, once on each database."""
    monkeypatch.setenv("TREUE_DATABASE", store_url)
    root = tmp_path / "workspace"
    root.mkdir()
    with served(copy_workspace(root)) as site:
        yield site


@pytest.fixture
def shopify_samples(data_dir: Path) -> dict[str, bytes]:
    """Real payloads of Shopify's webhooks by topic, as those of orders that are none of its own trials."""
    documents = [json.loads(path.read_text()) for path in sorted((data_dir / "shopify").glob("*.json"))]
    payloads = {document["topic"]: document["payload"] for document in documents}
    return {topic: json.dumps(_in_earnest(payload)).encode() for topic, payload in payloads.items()}


def _in_earnest(payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"test": False} if "test" in payload else payload


@pytest.fixture
def vectors(data_dir: Path) -> dict[str, list[dict[str, str]]]:
    """Published signatures."""
    found: dict[str, list[dict[str, str]]] = json.loads(
        (data_dir.parent / "wire" / "signature-vectors.json").read_text()
    )
    return found

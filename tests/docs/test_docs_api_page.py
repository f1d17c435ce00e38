"""The page of the HTTP API is made from what /openapi.json is made from."""

from __future__ import annotations

from pathlib import Path

from treue.web.api_page import page

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_one_the_description_makes() -> None:
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == page(), (
        "run `python -m treue.web.api_page > docs/api.md`"
    )

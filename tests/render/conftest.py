"""A fixture that writes a workspace's templates from a few lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.render.writing import SCHEMA, Make
from treue.render.templates.names import NameSchema
from treue.render.templates.renderer import Renderer


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write templates given as path -> source and return a renderer for them."""

    def write(files: dict[str, str], *, locale: str = "en", schema: NameSchema | None = SCHEMA) -> Renderer:
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return Renderer(tmp_path, locale=locale, timezone="Europe/Berlin", schema=schema)

    return write

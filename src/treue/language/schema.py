"""The JSON Schema for editors, generated from the same rows that parse."""

from __future__ import annotations

from typing import Any

from treue.language.journey import JOURNEY
from treue.language.scenario import TESTS
from treue.language.settings import SEGMENT, SETTINGS


def json_schema() -> dict[str, Any]:
    """Return one schema (draft 2020-12) for journeys, their tests, segments and settings."""
    defs: dict[str, Any] = {}
    choices = [JOURNEY.schema(defs), SEGMENT.schema(defs), SETTINGS.schema(defs), TESTS.schema(defs)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Treue",
        "description": "A file of a Treue workspace.",
        "anyOf": choices,
        "$defs": defs,
    }

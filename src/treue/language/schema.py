"""The JSON Schema for editors, generated from the same rows that parse."""

from __future__ import annotations

from typing import Any

from treue.language.grammar import Definitions
from treue.language.journey import JOURNEY
from treue.language.scenario import TESTS
from treue.language.settings import SEGMENT, SETTINGS
from treue.language.words import Words


def json_schema(words: Words) -> dict[str, Any]:
    """Return one schema (draft 2020-12) for journeys, their tests, segments and settings."""
    defs = Definitions(words)
    choices = [JOURNEY.schema(defs), SEGMENT.schema(defs), SETTINGS.schema(defs), TESTS.schema(defs)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Treue",
        "description": "A file of a Treue workspace.",
        "anyOf": choices,
        "$defs": dict(defs),
    }

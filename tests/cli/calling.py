"""What a command came to, and the story of the workspace the tests ask about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

START = datetime(2026, 3, 1, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document printed with --json."""
        return json.loads(self.out)


Run = Callable[..., Done]

BY_HAND = """\
description: A letter somebody asks us to send.
category: transactional
enter: {manual: true, again: always}
steps:
  - id: letter
    send: win-back-letter
    on: email
"""
"""A journey nobody enters by themselves."""

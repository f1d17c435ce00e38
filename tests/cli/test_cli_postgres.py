"""Both databases give the same answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Run, live, make
from treue.composition.assembly import assembled
from treue.engine.passes.chronology import run_pass
from treue.vocabulary.workspace import load

QUESTIONS = (
    ("status",),
    ("why", "c3"),
    ("why", "c5"),
    ("why", "c10"),
    ("customer", "c3"),
    ("segment", "regulars", "--list", "--at", "2026-04-01"),
    ("segment", "resting", "--why", "c1", "--at", "2026-12-01"),
    ("segment", "dormant", "--at", "2026-12-01"),
)


def _answers(treue: Run, root: Path) -> list[Any]:
    found = []
    for question in QUESTIONS:
        done = treue(root, *question, "--json")
        assert done.code == 0, done.err
        document = done.json
        for moving in ("at", "last_pass", "checks") if question[0] == "status" else ():
            document.pop(moving)
        found.append(document)
    return found


@pytest.mark.postgres
def test_both_databases_give_the_same_answers(
    treue: Run,
    lived: Path,
    reference: Path,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_sqlite = _answers(treue, lived)
    root = tmp_path / "postgres"
    root.mkdir()
    make(root, reference)
    monkeypatch.setenv("TREUE_DATABASE", postgres_url)
    live(root)
    for ours, theirs in zip(_answers(treue, root), on_sqlite, strict=True):
        assert _without_ids(ours) == _without_ids(theirs)
    for verb, said in (
        ("pause", "is paused"),
        ("resume", "goes on"),
        ("stop", "is stopped: 17 customers left"),
    ):
        assert said in treue(root, verb, "welcome", *(["--yes"] if verb == "stop" else [])).out
    with assembled(load(root)) as assembly:
        run_pass(assembly.engine, datetime.now(UTC))
    assert treue(root, "status", "--health").code == 0
    assert "entered" in treue(root, "graph", "welcome", "--mermaid").out


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z")


def _without_ids(value: Any) -> Any:
    """Leave out what counts differently on each: messages' numbers, keys drawn at random, seconds of sending."""
    if isinstance(value, dict):
        return {k: _without_ids(v) for k, v in value.items() if k not in ("message", "id", "updated_at")}
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return value[:16]
    return [_without_ids(one) for one in value] if isinstance(value, list) else value

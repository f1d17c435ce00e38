"""Real bounces of some sixty mail systems, read in place: whom they would suppress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from treue.bounces.reader import read
from treue.bounces.record import Reading

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def verdicts(data_dir: Path) -> dict[str, list[dict[str, Any]]]:
    """What is known of each mail: a verdict for each recipient."""
    known: dict[str, list[dict[str, Any]]] = json.loads((data_dir / "bounces" / "verdicts.json").read_bytes())
    return known


@pytest.fixture(scope="module")
def readings(data_dir: Path, verdicts: dict[str, list[dict[str, Any]]]) -> dict[str, Reading]:
    return {name: read((data_dir / "bounces" / name).read_bytes()) for name in verdicts}


def test_hard_and_not_hard_are_told_apart_in_97_of_100(
    verdicts: dict[str, list[dict[str, Any]]], readings: dict[str, Reading]
) -> None:
    wrong = [
        name
        for name, known in verdicts.items()
        if readings[name].verdict.hard is not any(one["hard"] for one in known)
    ]
    assert len(verdicts) >= 273
    assert len(wrong) <= 0.03 * len(verdicts), wrong


def test_subject_seven_never_suppresses_a_person(
    verdicts: dict[str, list[dict[str, Any]]], readings: dict[str, Reading]
) -> None:
    ours = [
        name for name, known in verdicts.items() if any(one["status"].startswith("5.7.") for one in known)
    ]
    assert len(ours) > 30
    assert [name for name in ours if any(one.hard for one in readings[name].verdicts)] == []
    found = [one for reading in readings.values() for one in reading.verdicts]
    assert [one for one in found if one.hard and one.status.startswith(("5.7.", "4."))] == []


def test_the_kinds_are_told_apart(
    verdicts: dict[str, list[dict[str, Any]]], readings: dict[str, Reading]
) -> None:
    special = {"feedback": "complaint", "vacation": "auto-reply", "delivered": "delivered"}
    wrong = [
        name
        for name, known in verdicts.items()
        if readings[name].kind not in {special.get(one["reason"], "bounce") for one in known}
    ]
    assert len(wrong) <= 0.01 * len(verdicts), wrong


def test_nearly_all_of_them_name_their_recipient(readings: dict[str, Reading]) -> None:
    unnamed = [name for name, reading in readings.items() if not reading.verdict.recipient]
    assert len(unnamed) <= 0.02 * len(readings), unnamed

"""`treue status`, the console and /metrics are three faces of one status: the same numbers, the same words."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.web.serving import Site, copy_workspace, served
from treue.cli.app import execute
from treue.composition.assembly import Assembly, assembled
from treue.engine.door.arrivals import enroll
from treue.engine.passes.chronology import run_pass
from treue.model.tables import journey, message
from treue.store import consents, customers, journeys
from treue.store.inputs import ConsentInput, CustomerInput
from treue.vocabulary.workspace import load

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = timedelta(days=2)
CUSTOMERS = [f"c{n}" for n in range(20)]

LETTER = """\
description: A letter, then a rest.
category: promotional
basis: consent
enter: {manual: true}
steps:
  - {id: letter, send: win-back-letter, on: email}
  - {id: rest, wait: 1d}
"""
FILES = {
    "steady": LETTER.replace("steps:", "holdout: 50%\nsteps:"),
    "hushed": LETTER,
    "gone": LETTER,
    "ended": LETTER,
}


@pytest.fixture
def site(
    tmp_path: Path, surroundings: None, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A live, a paused, a retired and a stopped journey with customers due, and an outbox in which all kinds wait."""
    monkeypatch.setenv("TREUE_DATABASE", store_url)
    root = tmp_path / "workspace"
    root.mkdir()
    _write_files(root)
    with assembled(load(root)) as assembly:
        _live(assembly)
    (root / "journeys/gone.yaml").unlink()
    with served(root) as site:
        monkeypatch.setattr("treue.cli.operating.status.utc_now", lambda: site.now)
        execute(["--workspace", str(root), "pause", "hushed"])
        execute(["--workspace", str(root), "stop", "ended", "--yes"])
        site.now = START + LATER
        _fill_outbox(site.assembly)
        yield site


def test_the_three_faces_say_the_same_numbers_and_states(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    status, metrics = _status(site, capsys), _metrics(site)
    figures, rows = _console(site)
    states = {name: one["state"] for name, one in status["journeys"].items()}
    assert states == {"steady": "live", "hushed": "paused", "gone": "retired", "ended": "stopped"}
    assert {name: row["State"] for name, row in rows.items()} == states

    due = {name: one["due"] for name, one in status["journeys"].items()}
    held_out = status["journeys"]["steady"]["held_out"]
    assert 0 < held_out < 20
    assert due == {"steady": 20 - held_out, "hushed": 20, "gone": 20, "ended": 0}
    for key, column, metric in (
        ("due", "Due", "treue_journey_due"),
        ("inside", "Inside", "treue_journey_inside"),
        ("in_doubt", "In doubt", "treue_messages_in_doubt"),
        ("failed", "Failed", "treue_messages_failed"),
    ):
        for name, one in status["journeys"].items():
            told = int(rows[name][column]), metrics[f'{metric}{{journey="{name}"}}']
            assert told == (one[key], one[key]), (name, key)
    assert figures["Inside a journey"] == (sum(one["inside"] for one in status["journeys"].values()),
                                           f"{sum(due.values())} due now")  # fmt: skip

    box = status["outbox"]
    assert (box["queued"], box["ready"], box["in_doubt"], box["failed"]) == (5, 2, 1, 1)
    assert figures["Outbox"] == (5, "2 ready, the oldest for 3 h")
    assert (figures["In doubt"][0], figures["Failed"][0]) == (1, 1)
    assert metrics['treue_outbox_ready{channel="email"}'] == box["ready"]
    assert box["oldest"] == "2026-03-04T06:00:00Z"
    assert metrics['treue_outbox_oldest_seconds{channel="email"}'] == 3 * 3600
    assert metrics['treue_outbox_held{reason="quiet_hours"}'] == 1
    held = {reason: one["messages"] for reason, one in box["held"].items()}
    assert held == {"quiet_hours": 1}
    assert figures["Held"] == (1, "1 quiet hours; the next may go 04 Mar 2026, 11:00:00")


def test_what_is_unhealthy_is_said_in_the_same_words(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    status, metrics = _status(site, capsys), _metrics(site)
    late = {one["journey"]: one["customers"] for one in status["late"]}
    assert late == {name: status["journeys"][name]["due"] for name in ("steady", "gone")}
    assert {name: metrics[f'treue_journey_late{{journey="{name}",step="rest"}}'] for name in late} == late
    sentences = [one["sentence"] for one in status["checks"] if not one["well"]]
    said = re.findall(r'<p class="bad">([^<]*)</p>', site.client.get("/").text)
    assert [html.unescape(one) for one in said] == sentences
    assert (status["healthy"], metrics["treue_healthy"]) == (False, 0)


def _write_files(root: Path) -> None:
    copy_workspace(root)
    for path in (root / "journeys").iterdir():
        path.unlink()
    for name, text in FILES.items():
        (root / f"journeys/{name}.yaml").write_text(text, encoding="utf-8")
    settings = (root / "treue.yaml").read_text(encoding="utf-8")
    settings = settings.replace('{adapter: smtp, url: "${SMTP_URL:-}"}', "{adapter: file}")
    settings = re.sub("^limits:\n(  - .*\n)+", "", settings, flags=re.MULTILINE)
    (root / "treue.yaml").write_text(settings, encoding="utf-8")


def _live(assembly: Assembly) -> None:
    """Let everybody enter every journey, get the letter and rest."""
    assembly.publish(START)
    with assembly.store.transaction() as connection:
        people = [CustomerInput(key, email=f"{key}@example.com", created_at=START) for key in CUSTOMERS]
        customers.upsert(connection, people, START)
        consents.give(connection, [ConsentInput(key, "email") for key in CUSTOMERS], START)
        ids = list(customers.ids_for_keys(connection, CUSTOMERS).values())
        for name in FILES:
            enroll(connection, journeys.find(connection, name) or 0, ids, START)
    run_pass(assembly.engine, START)


def _fill_outbox(assembly: Assembly) -> None:
    """Make of letters that went what an outbox can hold."""
    now = START + LATER
    ready, later = now - timedelta(hours=3), now + timedelta(hours=1)
    states: dict[str, list[dict[str, Any]]] = {
        "steady": [
            {"state": "queued", "ready_at": ready},
            {"state": "queued", "ready_at": now - timedelta(hours=1)},
            {"state": "queued", "ready_at": later, "reason": "quiet_hours"},
            {"state": "queued", "ready_at": later, "reason": None},
            {"state": "in_doubt", "reason": "in_doubt"},
            {"state": "failed", "reason": "render_failed"},
        ],
        "hushed": [{"state": "queued", "ready_at": ready - timedelta(hours=9)}],
    }
    with assembly.store.transaction() as connection:
        for name, changes in states.items():
            ids = select(message.c.id).join(journey, journey.c.id == message.c.journey_id)
            sent = ids.where(journey.c.name == name, message.c.state == "sent").order_by(message.c.id)
            for id_, values in zip(connection.scalars(sent).all(), changes, strict=False):
                connection.execute(update(message).where(message.c.id == id_).values(values))


def _status(site: Site, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    execute(["--workspace", str(site.assembly.workspace.root), "status", "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _metrics(site: Site) -> dict[str, float]:
    lines = [line for line in site.client.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _console(site: Site) -> tuple[dict[str, tuple[int, str]], dict[str, dict[str, str]]]:
    """Return the page's figures, each with its note, and the table of the journeys."""
    page = html.unescape(site.client.get("/").text)
    figures = {
        name: (int(number.replace(",", "")), note)
        for name, number, note in re.findall(
            r"<dt>([^<]*)</dt><dd[^>]*>([^<]*)</dd><small>([^<]*)</small>", page
        )
    }
    table = page.split("<h2>Journeys</h2>")[1].split("</table>")[0]
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", table.split("<tbody>")[0])[1:]
    rows = {
        name: dict(zip(heads, re.findall(r"<td[^>]*>([^<]*)</td>", cells), strict=True))
        for name, cells in re.findall(r'<th scope="row">([^<]*)</th>(.*?)</tr>', table)
    }
    return figures, rows

"""`treue simulate`: the past once more, with numbers that can be counted by hand."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Run
from treue.store import consents, customers, events, suppressions
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store

SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
locale: de
database: "${TREUE_DATABASE:-sqlite:///treue.db}"
public_url: http://localhost:8420
sender: {name: Shop, email: a@shop.example, postal_address: "Weg 1, 20457 Hamburg"}
channels:
  email: {adapter: file}
events:
  order.placed: {total: number}
  told: {why: text}
"""

THANKS = """\
description: Say thank you, and ask a week later unless another order came.
category: relational
basis: consent
enter: {event: order.placed, again: always}
exit:
  - event: consent.withdrawn
goal: {event: order.placed, within: 30d}
steps:
  - {id: thanks, send: thanks, on: email}
  - wait: 7d
  - {id: ask, send: ask, on: email}
"""

BIG = """\
description: Write to those who have spent much.
category: promotional
basis: consent
enter: {segment: big}
holdout: 50%
steps:
  - {id: letter, send: ask, on: email}
  - {emit: told, data: {why: big}}
"""

SEGMENT = """\
description: Spent more than a hundred.
where:
  - {sum: order.placed.total, above: 100}
"""

RANGE = ("--from", "2026-03-01", "--to", "2026-03-31")


def at(day: int, hour: int = 10, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace with two journeys and one segment."""
    root = tmp_path / "shop"
    for name, text in {
        "treue.yaml": SETTINGS,
        "journeys/thanks.yaml": THANKS,
        "journeys/big.yaml": BIG,
        "segments/big.yaml": SEGMENT,
        "templates/thanks/email.html": "---\nsubject: Thanks\n---\n<html><p>Thanks.</p></html>\n",
        "templates/ask/email.html": "---\nsubject: Well?\n---\n<html><p>Well?</p></html>\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def order(key: str, when: datetime, total: float = 20, **more: Any) -> EventInput:
    return EventInput(key, "order.placed", when, {"total": total}, **more)


def lived(url: str) -> None:
    """Ada ordered before March and thrice in it, Ben once and then had enough, Cleo never agreed to mail."""
    told = [
        order("ada", at(10, month=2), 90),
        order("ada", at(2), 20),
        order("ada", at(20), 20),
        order("ben", at(5)),
        EventInput("ben", "consent.withdrawn", at(8), {"channel": "email", "source": "shop"}),
        order("cleo", at(6), 500),
        order("ada", at(24), 20),
        EventInput("ada", "told", at(3), {"why": "big"}, "emit:1:1", "journey:big"),
    ]
    people = [
        CustomerInput(key, f"{key}@example.com", created_at=at(1, month=2)) for key in ("ada", "ben", "cleo")
    ]
    store = Store.open(url, create=True)
    with store.transaction() as connection:
        now = at(1, month=4)
        customers.upsert(connection, people, now)
        agreed = [ConsentInput(key, "email", at(1, month=2)) for key in ("ada", "ben")]
        consents.give(connection, agreed, now)
        events.record(connection, told, now, routed=True)
    store.close()


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document after making sure that its numbers add up."""
    journeys = document["journeys"]
    for one in journeys.values():
        left = one["inside"] + one["finished"] + one["converted"] + sum(one["exited"].values())
        assert one["entered"] == left + one["held_out"]
        assert one["queued"] == 0 or any(step["held"] for step in one["steps"])
        assert sum(one["sent"].values()) == sum(sum(step["sent"].values()) for step in one["steps"])
    sent = sum(sum(one["sent"].values()) for one in journeys.values())
    assert document["sent"] == sent == sum(day["sent"] for day in document["days"])
    weeks = document["pressure"]["weeks"]
    assert sum(int(number) * n for number, n in weeks.items()) == sent
    return document


@pytest.fixture
def database(shop: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shop's own database on each kind, with what Ada, Ben and Cleo did."""
    lived(store_url)
    return store_url


def test_the_numbers_are_those_one_can_count(
    treue: Run, shop: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", database)
    done = treue(shop, "simulate", *RANGE, "--json")
    assert done.code == 0, done.err
    found = checked(done.json)
    thanks, big = found["journeys"]["thanks"], found["journeys"]["big"]
    # Ada's of the 20th is converted by the one of the 24th, which starts her third stay in March.
    assert (thanks["entered"], thanks["converted"], thanks["finished"]) == (5, 2, 2)
    assert thanks["exited"] == {"consent.withdrawn": 1}
    assert thanks["sent"] == {"email": 6}
    assert thanks["refused"] == {"no_consent": 2}
    assert [(step["id"], step["reached"]) for step in thanks["steps"]] == [
        ("thanks", 5),
        ("steps.1", 5),
        ("ask", 3),
    ]
    assert big["entered"] == 2
    days = {day["date"]: day["journeys"] for day in found["days"] if day["sent"]}
    assert days["2026-03-05"] == {"thanks": 1}
    assert "2026-03-12" not in days, "Ben had left"
    assert len(found["days"]) == 31


def test_an_address_on_the_suppression_list_ends_stays_on_that_day(
    treue: Run, shop: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", database)
    text = THANKS.replace("event: consent.withdrawn", "not: {reachable: email}").replace(
        "wait: 7d", "wait: 40d"
    )
    (shop / "journeys" / "thanks.yaml").write_text(text)
    store = Store.open(database)
    with store.transaction() as connection:
        suppressions.add(connection, "email", ["Ada@example.com"], "test", at(25))
    store.close()
    thanks = checked(treue(shop, "simulate", *RANGE, "--json").json)["journeys"]["thanks"]
    assert (thanks["inside"], thanks["exited"]) == (0, {"condition": 2}), "Ada at the 25th, Ben at the 8th"


def test_the_same_past_gives_the_same_numbers_twice(
    treue: Run, shop: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", database)
    first, second = (treue(shop, "simulate", *RANGE, "--json").json for _ in range(2))
    assert first == second


def test_nothing_is_sent_and_nothing_is_written_but_in_a_temporary_folder(
    treue: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "elsewhere").mkdir()
    lived(f"sqlite:///{shop / 'treue.db'}")
    purchases = tmp_path / "purchases.csv"
    purchases.write_text("customer_id,at,total\na,2026-03-02,20\nb,never,20\n", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in _files(tmp_path)}
    assert treue(shop, "simulate", *RANGE).code == 0
    done = treue(shop, "simulate", *RANGE, "--history", purchases, "--event", "order.placed")
    assert done.code == 0, done.err
    assert "1 of 2 rows of purchases.csv could not be used" in done.out
    assert {path: path.stat().st_mtime_ns for path in _files(tmp_path)} == before


def _files(root: Path) -> list[Path]:
    """Return all files but those that SQLite keeps beside a database that somebody reads."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [path for path in found if path.suffix not in (".db-shm", ".db-wal")]


def test_a_file_of_events_is_a_history_with_its_assumptions_said(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    purchases = tmp_path / "purchases.csv"
    purchases.write_text(
        "who,day,total\na,2026-02-20,20\na,2026-03-02,20\nb,2026-03-05,20\n", encoding="utf-8"
    )
    file = ("--history", purchases, "--event", "order.placed", "--map", "who=customer_id", "--map", "day=at")
    found = checked(treue(shop, "simulate", "thanks", *RANGE, *file, "--json").json)
    assert list(found["journeys"]) == ["thanks"]
    thanks = found["journeys"]["thanks"]
    assert (thanks["entered"], thanks["finished"], thanks["sent"]) == (2, 2, {"email": 4})
    assert found["history"]["customers"] == 2
    assert any("taken to have agreed to e-mail" in said for said in found["history"]["assumptions"])
    shown = treue(shop, "simulate", "thanks", *RANGE, *file).out
    assert "taken to have agreed to e-mail" in shown
    assert "not effect" in shown
    assert "wherever something happens or is due; segments once a day" in shown


def test_consent_in_the_file_counts_instead_of_an_assumption(treue: Run, shop: Path, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    history.write_text(
        '{"customer_id": "a", "event": "consent.given", "at": "2026-03-01", "channel": "email"}\n'
        '{"customer_id": "a", "event": "order.placed", "at": "2026-03-02", "total": 5}\n'
        '{"customer_id": "b", "event": "order.placed", "at": "2026-03-02", "total": 5}\n',
        encoding="utf-8",
    )
    found = checked(treue(shop, "simulate", "thanks", *RANGE, "--history", history, "--json").json)
    thanks = found["journeys"]["thanks"]
    assert (thanks["sent"], thanks["refused"]) == ({"email": 2}, {"no_consent": 2})
    assert not any("taken to have agreed" in said for said in found["history"]["assumptions"])


def test_the_held_out_are_counted_with_what_they_would_have_had(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    history = tmp_path / "history.csv"
    rows = [f"c{n},order.placed,2026-03-0{2 + n % 7},200" for n in range(40)]
    history.write_text("\n".join(["customer_id,event,at,total", *rows]) + "\n", encoding="utf-8")
    found = checked(treue(shop, "simulate", "big", *RANGE, "--history", history, "--json").json)
    big = found["journeys"]["big"]
    assert big["entered"] == 40
    assert 0 < big["held_out"] < 40
    assert big["sent"] == {"email": 40 - big["held_out"]}
    assert big["refused"] == {"held_out": big["held_out"]}
    assert sum(day["held_out"] for day in found["days"]) == big["held_out"]


def test_two_versions_are_held_against_each_other(treue: Run, shop: Path) -> None:
    lived(f"sqlite:///{shop / 'treue.db'}")
    for command in (
        ("init", "-q"),
        ("add", "journeys", "segments", "templates", "treue.yaml"),
        ("-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "first"),
    ):
        subprocess.run(["git", *command], cwd=shop, check=True)
    shorter = THANKS.replace("  - wait: 7d\n", "").replace("  - {id: ask, send: ask, on: email}\n", "")
    (shop / "journeys" / "thanks.yaml").write_text(shorter, encoding="utf-8")
    done = treue(shop, "simulate", "thanks", *RANGE, "--against", "HEAD", "--json")
    assert done.code == 0, done.err
    found = checked(done.json)["against"]
    differ = {(one["step"], one["what"]): (one["before"], one["after"]) for one in found["differences"]}
    assert differ[None, "sent"] == (6, 4)
    assert differ["ask", "reached"] == (3, 0)
    assert (None, "entered") not in differ
    shown = treue(shop, "simulate", "thanks", *RANGE, "--against", "HEAD").out
    assert "6 at HEAD, 4 now" in shown
    other = shop.parent / "other"
    shutil.copytree(shop, other, ignore=shutil.ignore_patterns(".git"))
    same = treue(shop, "simulate", "thanks", *RANGE, "--against", other).out
    assert "Both versions come to the same numbers." in same


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-03-01"), "Say from when to when"),
        (("--from", "2026-03-31", "--to", "2026-03-01"), "no time at all"),
        (("--from", "March", "--to", "2026-03-01"), "`March` is not a time"),
        ((*RANGE, "--map", "a=b"), "say how to read a file"),
        ((*RANGE, "--history", "none.csv"), "There is no file none.csv"),
        (("thank", *RANGE), "There is no journey `thank`. Did you mean `thanks`?"),
        ((*RANGE, "--against", "nowhere"), "neither a git revision"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    treue: Run, shop: Path, arguments: tuple[str, ...], said: str
) -> None:
    lived(f"sqlite:///{shop / 'treue.db'}")
    done = treue(shop, "simulate", *arguments)
    assert done.code == 2
    assert said in done.err


def test_what_a_journey_itself_recorded_is_not_replayed_but_recorded_anew(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    """Ada's recorded `told` of the 3rd is left out: else somebody held out from big would be told of all the same."""
    (shop / "journeys" / "heard.yaml").write_text(
        "description: Heard.\ncategory: transactional\nenter: {event: told}\n"
        "steps:\n  - {id: letter, send: ask, on: email}\n",
        encoding="utf-8",
    )
    lived(f"sqlite:///{shop / 'treue.db'}")
    alone = checked(treue(shop, "simulate", "heard", *RANGE, "--json").json)
    assert alone["journeys"]["heard"]["entered"] == 0
    both = checked(treue(shop, "simulate", "heard", "big", *RANGE, "--json").json)
    assert (
        both["journeys"]["heard"]["entered"]
        == both["journeys"]["big"]["finished"] + both["journeys"]["big"]["held_out"]
    )


def test_a_schedule_is_kept_on_its_day(treue: Run, shop: Path, tmp_path: Path) -> None:
    (shop / "journeys" / "mondays.yaml").write_text(
        "description: Mondays.\ncategory: promotional\nbasis: consent\n"
        'enter: {schedule: "0 9 * * MON", segment: big, again: always}\n'
        "steps:\n  - {id: letter, send: ask, on: email}\n",
        encoding="utf-8",
    )
    lived(f"sqlite:///{shop / 'treue.db'}")
    found = checked(treue(shop, "simulate", "mondays", *RANGE, "--json").json)
    days = {day["date"]: day["sent"] for day in found["days"] if day["sent"]}
    assert days == {f"2026-03-{day:02d}": 1 for day in (9, 16, 23, 30)}, "Ada's; Cleo has not agreed"
    assert found["journeys"]["mondays"]["refused"] == {"no_consent": 4}


def test_limits_and_quiet_hours_are_those_of_the_engine(treue: Run, shop: Path, tmp_path: Path) -> None:
    settings = (shop / "treue.yaml").read_text(encoding="utf-8")
    settings += 'limits:\n  - {at_most: 1, per: 10d, when_over: drop}\nquiet_hours: {email: "20:00-08:00"}\n'
    (shop / "treue.yaml").write_text(settings, encoding="utf-8")
    history = tmp_path / "history.csv"
    history.write_text("customer_id,event,at,total\na,order.placed,2026-03-02 22:00,20\n", encoding="utf-8")
    file = ("--history", history)
    found = checked(treue(shop, "simulate", "thanks", *RANGE, *file, "--json").json)
    thanks, ask = found["journeys"]["thanks"]["steps"][0], found["journeys"]["thanks"]["steps"][2]
    assert (thanks["sent"], thanks["held"]) == ({"email": 1}, {"quiet_hours": 1})
    assert [day["date"] for day in found["days"] if day["sent"]] == ["2026-03-03"]
    assert ask["refused"] == {"over_limit": 1}
    shown = treue(shop, "simulate", "thanks", *RANGE, *file).out
    assert "crowded" not in shown
    assert "2 waited, 0 not sent: the customer's quiet hours have not ended." in shown


def test_passes_fall_when_something_happens_as_they_do_in_a_test(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    """Who is written to at 10:20 and leaves at 10:50 has had her mail, and two mails of an afternoon are an hour apart."""
    history = tmp_path / "history.csv"
    rows = [
        "a,order.placed,2026-03-02 10:20:07,20,",
        "a,consent.withdrawn,2026-03-02 10:50,,email",
        "b,order.placed,2026-03-02 14:10,20,",
        "b,order.placed,2026-03-02 15:10,20,",
    ]
    history.write_text("\n".join(["customer_id,event,at,total,channel", *rows]) + "\n", encoding="utf-8")
    (shop / "journeys" / "thanks.test.yaml").write_text(
        "- test: she leaves half an hour later\n"
        "  customer: {id: a, email: a@shop.example, consent: email}\n"
        "  timeline:\n"
        "    - {at: 2026-03-02 10:20, event: order.placed, data: {total: 20}}\n"
        "    - {at: 2026-03-02 10:50, event: consent.withdrawn, data: {channel: email}}\n"
        "  expect: [{send: thanks}, {outcome: exited}]\n",
        encoding="utf-8",
    )
    assert treue(shop, "test", "thanks").code == 0
    found = checked(treue(shop, "simulate", "thanks", *RANGE, "--history", history, "--json").json)
    thanks = found["journeys"]["thanks"]
    assert thanks["sent"] == {"email": 4}, "hers, two of b's, and b is asked a week later"
    assert (thanks["exited"], thanks["converted"], thanks["finished"]) == ({"consent.withdrawn": 1}, 1, 1)
    assert found["clock"]["crowded_days"] == 0
    assert found["clock"]["passes"] <= 8


def test_on_a_crowded_day_passes_are_hours_apart_and_the_output_says_so(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    history = tmp_path / "history.csv"
    rows = [f"c{n},order.placed,2026-03-02 {n // 4:02}:{n % 4 * 15:02},20" for n in range(96)]
    history.write_text("\n".join(["customer_id,event,at,total", *rows]) + "\n", encoding="utf-8")
    shown = treue(shop, "simulate", "thanks", *RANGE, "--history", history).out
    assert "wherever something happens or is due, but on 2 crowded days every 6 hours" in shown
    found = checked(treue(shop, "simulate", "thanks", *RANGE, "--history", history, "--json").json)
    assert found["journeys"]["thanks"]["sent"] == {"email": 2 * 96}
    assert found["clock"]["crowded_days"] == 2, "the second is the one on which everybody is asked"
    assert found["clock"]["passes"] < 40


@pytest.mark.data
def test_three_months_of_cdnow_come_to_what_the_file_says(treue: Run, shop: Path, data_dir: Path) -> None:
    """Each purchase of the quarter starts a stay; the last of a customer's day ends those before it unthanked."""
    file = data_dir / "cdnow.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [(row["customer_id"], row["date"]) for row in csv.DictReader(lines)]
    quarter = [row for row in rows if row[1] >= "1998-04-01"]
    period = ("--from", "1998-04-01", "--to", "1998-06-30")
    how = ("--history", file, "--event", "order.placed", "--map", "date=at", "--map", "amount=total")
    found = checked(treue(shop, "simulate", "thanks", *period, *how, "--json").json)
    assert found["history"]["events"] == len(rows)
    thanks = found["journeys"]["thanks"]
    assert thanks["entered"] == len(quarter)
    assert thanks["steps"][0]["sent"] == {"email": len(set(quarter))}
    assert not thanks["refused"]
    assert len(found["days"]) == 91


HELD = """
import threading
from treue.composition import simulation
from treue.cli import main

happen = simulation.Clock.happen

def held(clock, now):
    happen(clock, now)
    if now.day == 20:
        print("in the middle", flush=True)
        threading.Event().wait()

simulation.Clock.happen = held
main()
"""
"""The command, which stops in the middle of a simulation for good."""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_simulation_that_is_ended_leaves_no_copy_of_the_data(
    shop: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    days = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(50))
    rows = [f"c{n % 50},{day:%Y-%m-%d},30" for n, day in enumerate(days)]
    file, temporary = tmp_path / "orders.csv", tmp_path / "temporary"
    file.write_text("\n".join(["customer,at,total", *rows]))
    temporary.mkdir()
    period = ("--from", "2020-01-01", "--to", "2020-03-31", "--history", str(file), "--event", "order.placed")
    command = [sys.executable, "-c", HELD, "--workspace", str(shop), "simulate", *period]
    own = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"in the middle\n"
        assert list(temporary.glob("treue-simulate-*/*/replayed.db"))
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert list(temporary.iterdir()) == []


def test_rows_of_a_history_that_are_refused_are_told_with_their_reasons(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    history = tmp_path / "history.csv"
    bad = "".join(f"b,order.placed,soon,{n}\n" for n in range(11))
    history.write_text(
        f'customer_id,event,at,total\na,order.placed,2026-03-02,5\na,order.placed,2026-03-03,"5\n{bad}',
        encoding="utf-8",
    )
    done = treue(shop, "simulate", "thanks", *RANGE, "--history", history)
    assert "12 of 13 rows of history.csv could not be used:" in done.out
    assert "line 3: Cell 4 begins with a quotation mark that is not closed" in done.out
    assert "line 4: at: 'soon' is not a time" in done.out
    assert "and 2 more" in done.out
    assert [path.name for path in tmp_path.iterdir() if "rejected" in path.name] == []


def test_nearly_known_columns_of_a_history_end_the_simulation_with_the_options(
    treue: Run, shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "h.csv").write_text("Customer ID,Event,at\na,order.placed,2026-03-02\n", encoding="utf-8")
    done = treue(shop, "simulate", "thanks", *RANGE, "--history", tmp_path / "h.csv")
    assert done.code == 1
    assert '--map "Customer ID=customer_id" --map "Event=event"' in done.err

"""import, customer, segment, enroll, status, why, pause, stop, db: what people ask of a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from tests.cli.calling import START, Run, make
from treue.composition.assembly import assembled
from treue.composition.vacuum import nightly
from treue.engine.door import arrivals
from treue.engine.passes.chronology import run_pass
from treue.errors import StoreError
from treue.insight.status import status
from treue.model.tables import draw, enrollment, event, journey, message, trace
from treue.store import consents, customers, events, failures, heartbeat, journeys
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.store import Store
from treue.vocabulary.workspace import load


def database(root: Path) -> Store:
    return Store.open(f"sqlite:///{root / 'treue.db'}")


def catch_up(root: Path) -> None:
    """Run a pass now, after which nobody is late: the story these tests ask about was lived in March."""
    with assembled(load(root)) as assembly:
        run_pass(assembly.engine, datetime.now(UTC))


# --- import -----------------------------------------------------------------------------------------------


def test_importing_makes_the_database_and_sets_bad_rows_aside(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id;E-Mail;first_name;consent\nx1;a@b.example;Jörg;email\nx2;nope;Ä;\n", encoding="utf-8")
    done = treue(files, "import", "customers", path, "--map", "E-Mail=email", "--json")
    assert done.code == 1, "rows were set aside"
    assert (done.json["created"], done.json["rejected"], done.json["consents"]) == (1, 1, 1)
    assert "nope" in Path(done.json["rejected_file"]).read_text(encoding="utf-8")
    assert "Jörg" in treue(files, "customer", "x1").out


def test_importing_events_of_one_name_twice_records_them_once(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("customer_id,at,total\na,2026-01-01,20.5\nb,2026-02-01 09:00,7\n")
    first = treue(files, "import", "events", path, "--event", "order.placed")
    assert "3 lines read: 1 of the header, 2 in the database." in first.out
    assert "2 new, 0 known already." in first.out
    assert treue(files, "import", "events", path, "--event", "order.placed", "--json").json["duplicates"] == 2


def test_importing_an_event_under_a_used_id_sets_its_row_aside(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        "id,customer_id,at,total\n1001,a,2026-01-01,20\n1001,b,2026-01-01,20\n1001,a,2026-01-01,7\n"
    )
    done = treue(files, "import", "events", path, "--event", "order.placed")
    assert "4 lines read: 1 of the header, 2 in the database, 1 set aside." in done.out
    assert "1 row set aside" in done.out
    assert done.code == 1
    assert "\n4,The id '1001' was used before" in (tmp_path / "orders.csv.rejected.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("people", "f.csv"), "not `people`"),
        (("events", "f.csv", "--event", "order.plcaed"), "Did you mean `order.placed`?"),
        (("customers", "f.csv", "--event", "order.placed"), "--event"),
        (("customers", "nope.csv"), "There is no file nope.csv"),
        (("customers", "treue.yaml", "--map", "mail"), "is not COLUMN=NAME"),
    ],
)
def test_a_wrong_import_says_what_is_wrong(
    treue: Run, files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(files)
    done = treue(None, "import", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


# --- customer, segment ------------------------------------------------------------------------------------


def test_a_customer_is_shown_with_consents_journeys_messages_and_timeline(treue: Run, lived: Path) -> None:
    found = treue(lived, "customer", "c3", "--json").json
    assert found["attributes"]["first_name"] == "Jörg"
    assert [one["given"] for one in found["consents"]] == [False]
    assert any(one["printed"] for one in found["messages"])
    for one in found["messages"]:
        assert bool(one["printed"]) == (one["state"] == "sent")
        assert not one["printed"] or one["printed"]["customer"]["first_name"] == "Jörg"
    shown = treue(lived, "customer", "c3").out
    assert "withdrawn 2026-03-07 11:02" in shown
    assert "welcome: exited (consent.withdrawn)" in shown


def test_an_address_finds_all_who_have_it(treue: Run, files: Path) -> None:
    people = files / "people.csv"
    people.write_text("id,email\na,twin@example.com\nb,Twin@Example.com\nc,other@example.com\n")
    assert treue(files, "import", "customers", str(people)).code == 0
    assert [one["id"] for one in treue(files, "customer", " TWIN@example.com", "--json").json["customers"]] == [
        "a", "b",
    ]  # fmt: skip
    shown = treue(files, "customer", "twin@example.com").out
    assert "2 customers have this address: a, b." in shown
    assert "shared with b" in shown
    assert treue(files, "customer", "other@example.com", "--json").json["id"] == "c"
    assert "2 customers share an e-mail address with others" in treue(files, "check").out


def test_two_records_are_shown_then_merged_and_both_ids_mean_one(treue: Run, files: Path) -> None:
    people = files / "people.csv"
    people.write_text("id,email,city,consent\na,a@example.com,,\nb,b@example.com,Graz,email\n")
    assert treue(files, "import", "customers", people).code == 0
    people.write_text("id,city\na,Linz\n")
    treue(files, "import", "customers", people)
    shown = treue(files, "merge", "b", "a")
    assert shown.code == 2
    assert "a into b  brings 1 event, 0 messages, 0 stays" in shown.out
    assert "city        Linz instead of Graz, newer: a says so since" in shown.out
    assert "consent given" in shown.out
    assert "the word of b" in shown.out
    assert "Nothing was merged. Off a terminal, `--yes` is needed." in shown.err
    assert treue(files, "customer", "a", "--json").json["id"] == "a", "nothing was"
    done = treue(files, "merge", "b", "a", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "a is merged into b.")
    again = treue(files, "merge", "b", "a", "--yes")
    assert (again.code, again.out) == (0, "a was merged into b before; there is nothing to do.\n")
    found = treue(files, "customer", "a", "--json").json
    assert (found["id"], found["attributes"]) == ("b", {"city": "Linz"})
    assert [one["id"] for one in found["merged"]] == ["a"]
    assert "a was merged into it 20" in treue(files, "customer", "b").out
    assert "a was merged into b 20" in treue(files, "why", "a").out
    circle = treue(files, "merge", "a", "b", "--yes")
    assert (circle.code, circle.out) == (2, "")
    assert "'a' was merged into 'b' before: they are one record" in circle.err
    assert treue(files, "forget", "a", "--yes").code == 0
    assert treue(files, "customer", "b").code == 2


def test_what_was_imported_before_it_was_declared_is_said_and_brought_over(treue: Run, files: Path) -> None:
    people = files / "people.csv"
    people.write_text("id,visits\na,12\nb,often\n")
    assert treue(files, "import", "customers", people).code == 0
    settings = files / "treue.yaml"
    told = settings.read_text(encoding="utf-8")
    settings.write_text(told.replace("\ncustomer:\n", "\ncustomer:\n  visits: number\n", 1), encoding="utf-8")
    said = "`visits` is declared as a number, and 2 of 2 customers have something else there (a text for 2)"
    assert said in treue(files, "check").out
    assert said in treue(files, "plan").err
    done = treue(files, "db", "conform")
    assert (done.code, done.out) == (
        1,
        "visits: brought over for 1 customer, stays for 1.\n  customer b: 'often' is not a number; write it like 1234.50.\n",
    )
    assert treue(files, "customer", "a", "--json").json["attributes"] == {"visits": 12}
    people.write_text("id,visits\nb,3\n")
    treue(files, "import", "customers", people)
    done = treue(files, "db", "conform")
    assert (done.code, done.out) == (0, "Every customer's attributes are what treue.yaml declares.\n")


def test_a_customer_nobody_knows_is_wrong_usage(treue: Run, lived: Path) -> None:
    done = treue(lived, "customer", "nobody")
    assert done.code == 2
    assert "nobody" in done.err


def test_a_segment_is_counted_listed_and_explained(treue: Run, lived: Path) -> None:
    assert treue(lived, "segment", "regulars").out == "2\n"
    listed = treue(lived, "segment", "regulars", "--list", "--json").json
    assert (listed["segment"], listed["count"], listed["customers"]) == ("regulars", 2, ["c15", "c5"])
    assert treue(lived, "segment", "regulars", "--list").out == "c15\nc5\n"
    told = treue(lived, "segment", "regulars", "--why", "c1").out
    assert "c1 is not in regulars." in told
    assert "order.placed: 1, wanted at least 2" in told
    tree = treue(lived, "segment", "resting", "--why", "c1", "--json").json["why"]
    assert tree["holds"] is False
    assert len(tree["parts"]) == 2


def test_a_segment_as_of_a_time_is_told_on_the_workspace_s_clock(treue: Run, lived: Path) -> None:
    before = treue(lived, "segment", "regulars", "--at", "2026-03-05T11:01", "--json").json
    after = treue(lived, "segment", "regulars", "--at", "2026-03-05T11:03", "--json").json
    assert (before["at"], before["count"]) == ("2026-03-05T10:01:00Z", 0)
    assert after["count"] == 2


def test_segments_work_on_imported_data_before_any_journey_runs(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("customer_id,at\na,2026-01-01\na,2026-01-02\nb,2026-01-03\n")
    treue(files, "import", "events", path, "--event", "order.placed")
    assert treue(files, "segment", "regulars", "--at", "2026-02-01").out == "1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("regulrs",), "Did you mean `regulars`?"),
        (("regulars", "--at", "yesterday"), "`yesterday` is not a time"),
        (("regulars", "--list", "--count"), "one at a time"),
        (("regulars", "--why", "nobody"), "There is no customer nobody."),
    ],
)
def test_a_wrong_question_about_a_segment_says_what_is_wrong(
    treue: Run, lived: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = treue(lived, "segment", *arguments)
    assert done.code == 2
    assert said in done.err


def test_without_a_database_the_way_to_one_is_told(treue: Run, files: Path) -> None:
    done = treue(files, "segment", "regulars")
    assert done.code == 2
    assert "treue db upgrade" in done.err


# --- enroll -----------------------------------------------------------------------------------------------


def test_who_is_enrolled_by_hand_enters_at_the_next_pass(treue: Run, lived: Path) -> None:
    assert treue(lived, "enroll", "by-hand", "c1", "c2").code == 0
    with assembled(load(lived)) as assembly:
        run_pass(assembly.engine, datetime.now(UTC) + timedelta(minutes=1))
    counts = treue(lived, "status", "--json").json["journeys"]["by-hand"]
    assert (counts["entered"], counts["sent"]) == (2, {"email": 2})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("welcome", "c1"), "is not `manual: true`. Such journeys are by-hand."),
        (("by-hnd", "c1"), "Did you mean `by-hand`?"),
        (("by-hand", "c1", "nobody"), "There is no customer nobody. Nobody was enrolled."),
    ],
)
def test_who_cannot_be_enrolled_is_told_why(
    treue: Run, lived: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = treue(lived, "enroll", *arguments)
    assert done.code == 2
    assert said in done.err


# --- status -----------------------------------------------------------------------------------------------


def test_status_counts_what_was_set_aside_and_says_what_to_do(treue: Run, lived: Path) -> None:
    assert "set aside" not in treue(lived, "status").out
    with database(lived).transaction() as connection:
        given = [EventInput("ada", "order.placed", START, {"total": total}, "1001") for total in (1, 2)]
        events.record(connection, given, START)
    assert "set aside 1 event under ids used before for another content" in treue(lived, "status").out
    assert treue(lived, "status", "--json").json["set_aside"] == 1


def test_status_counts_every_journey_and_is_healthy(treue: Run, lived: Path) -> None:
    found = treue(lived, "status", "--json").json
    one = found["journeys"]["welcome"]
    assert one["entered"] == 20
    assert one["entered"] == (
        one["inside"] + one["finished"] + one["converted"] + sum(one["exited"].values()) + one["held_out"]
    )
    assert one["exited"] == {"consent.withdrawn": 1}
    assert one["state"] == "live"
    assert found["last_pass"].startswith("2026-03-1")
    assert found["channels"] == {"email": "file", "sms": "file", "push": "file"}
    assert "welcome" in treue(lived, "status").out
    catch_up(lived)
    assert treue(lived, "status", "--json").json["healthy"] is True
    assert treue(lived, "status", "--health").code == 0


def test_where_no_pass_runs_any_more_it_is_unhealthy_and_says_who_is_late(treue: Run, lived: Path) -> None:
    found = treue(lived, "status", "--json").json
    assert found["healthy"] is False
    assert "welcome" in {one["journey"] for one in found["late"]}
    assert found["failing"] == []
    done = treue(lived, "status", "--health")
    assert done.code == 1
    assert "No pass has succeeded for" in done.out
    assert "due at the step" in done.out


def test_work_that_fails_is_named_by_status_and_run(treue: Run, lived: Path) -> None:
    catch_up(lived)
    store = database(lived)
    with store.transaction() as connection:
        key = (journeys.find(connection, "win-back") or 0, "segment")
        failures.record(connection, key, datetime.now(UTC), "the disk is full")
    shown = treue(lived, "status")
    assert shown.code == 0
    assert "win-back: looking whom its segment brings: the disk is full; tried again 20" in shown.out
    (one,) = treue(lived, "status", "--json").json["failing"]
    assert (one["journey"], one["work"], one["times"], one["reason"]) == (
        "win-back", "segment", 1, "the disk is full",
    )  # fmt: skip
    assert treue(lived, "status", "--health").code == 0, "once may be a restart"
    with store.transaction() as connection:
        for _ in range(2):
            failures.record(connection, key, datetime.now(UTC), "the disk is full")
    store.close()
    done = treue(lived, "status", "--health")
    assert done.code == 1
    assert "unhealthy: win-back: looking whom its segment brings has failed 3 times in a row, for" in done.out
    treue(lived, "pause", "win-back")
    assert treue(lived, "status", "--health").code == 0, "a paused journey is meant to do nothing"


def test_messages_nobody_sends_make_it_unhealthy(treue: Run, lived: Path) -> None:
    store = database(lived)
    with store.transaction() as connection:
        newest = select(func.max(message.c.id)).scalar_subquery()
        connection.execute(update(message).where(message.c.id == newest).values(state="queued"))
    store.close()
    done = treue(lived, "status", "--health")
    assert done.code == 1
    assert "have been ready for up to" in done.out
    found = treue(lived, "status", "--json").json
    assert (found["healthy"], found["outbox"]["queued"], found["outbox"]["ready"]) == (False, 1, 1)


def test_events_nobody_looks_at_make_it_unhealthy(treue: Run, lived: Path) -> None:
    store = database(lived)
    with store.transaction() as connection:
        connection.execute(update(event).where(event.c.name == "order.placed").values(routed_at=None))
    store.close()
    done = treue(lived, "status", "--health")
    assert done.code == 1
    assert "events have waited" in done.out


def test_messages_of_a_worker_that_has_gone_make_it_unhealthy(treue: Run, lived: Path) -> None:
    store = database(lived)
    with store.transaction() as connection:
        gone = {"state": "claimed", "worker": "w", "lease_until": START}
        connection.execute(update(message).where(message.c.state == "sent").values(gone))
    store.close()
    done = treue(lived, "status", "--health")
    assert done.code == 1
    assert "a worker that has gone" in done.out


# --- why --------------------------------------------------------------------------------------------------


def trail(treue: Run, root: Path, customer: str, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = treue(root, "why", customer, "--journey", name, "--json").json["journeys"][
        name
    ]
    return found


def test_why_tells_each_decision_with_its_step_and_line(treue: Run, lived: Path) -> None:
    found = trail(treue, lived, "c3", "welcome")
    assert (found[0]["decision"], found[0]["step"]) == ("entered", None)
    assert ("waiting", "steps.1") in [(one["decision"], one["step"]) for one in found]
    assert found[-1]["decision"] == "exited"
    assert found[-1]["reason"] == "consent.withdrawn"
    assert {"at", "step", "decision", "reason", "values"} <= set(found[0])
    wait = next(one for one in found if one["decision"] == "waiting")
    assert wait["values"]["until"] == "2026-03-04T10:02:00Z"
    line = (lived / "journeys/welcome.yaml").read_text(encoding="utf-8").splitlines()[wait["line"] - 1]
    assert line.strip() == "- wait: 3d"
    shown = treue(lived, "why", "c3").out
    assert f"journeys/welcome.yaml:{wait['line']}  - wait: 3d" in shown
    assert "waits until 2026-03-04 11:02" in shown


def test_why_tells_the_values_a_branch_compared(treue: Run, lived: Path) -> None:
    with assembled(load(lived)) as assembly:
        run_pass(assembly.engine, START + timedelta(days=20))
    branches = [one for one in trail(treue, lived, "c1", "welcome") if one["decision"] == "branch"]
    held = trail(treue, lived, "c1", "welcome")
    assert len(branches) == 1, held
    assert branches[0]["values"]["way"] == "else"
    texts = [part["text"] for part in branches[0]["values"]["compared"][0]["parts"]]
    assert "message welcome of this stay was clicked: never" in texts


def test_why_tells_which_condition_turned_somebody_away(treue: Run, lived: Path) -> None:
    (found,) = trail(treue, lived, "c1", "cross-sell")
    assert (found["decision"], found["reason"]) == ("turned_away", "if")
    texts = str(found["values"]["compared"])
    assert "order.placed: 1, wanted at least 2" in texts


def test_why_tells_what_keeps_somebody_out_of_a_segment_s_journey(treue: Run, lived: Path) -> None:
    shown = treue(lived, "why", "c1", "--journey", "up-sell").out
    assert "has never been in it" in shown
    assert "Is not in segment high-value." in shown


def test_why_tells_that_the_starting_event_never_happened(treue: Run, lived: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("id,email\nnew,new@example.com\n")
    treue(lived, "import", "customers", path)
    found = treue(lived, "why", "new", "--json").json["never_entered"]
    assert found["welcome"][0]["sentence"] == "order.placed has never happened to them."
    assert "source import" in found["onboarding"][0]["sentence"]
    assert "treue enroll by-hand" in found["by-hand"][0]["sentence"]


def test_why_tells_that_the_event_lies_before_the_journey_went_live(
    treue: Run, lived: Path, tmp_path: Path
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("customer_id,at\nold,2025-01-01\n")
    treue(lived, "import", "events", path, "--event", "order.placed")
    found = treue(lived, "why", "old", "--json").json["never_entered"]["welcome"][0]
    assert "before the journey went live" in found["sentence"]


def test_why_tells_that_a_journey_does_not_run_yet(treue: Run, lived: Path) -> None:
    (lived / "journeys/by-mail.yaml").write_text((lived / "journeys/by-hand.yaml").read_text())
    assert "has not been published" in treue(lived, "why", "c1", "--journey", "by-mail").out


# --- held back ----------------------------------------------------------------------------------------------

NEWS = """\
description: News, to whom we enroll.
category: promotional
basis: consent
enter: {manual: true, again: always}
steps:
  - {id: letter, send: win-back-letter, on: email, valid_for: 3d}
"""


@pytest.fixture
def holding(tmp_path: Path, reference: Path) -> Path:
    """A workspace in which Ada has had her news of the day, and Bob sleeps already."""
    root = tmp_path / "holding"
    make(root, reference)
    for path in (root / "journeys").iterdir():
        path.unlink()
    (root / "journeys/news.yaml").write_text(NEWS)
    settings = (root / "treue.yaml").read_text()
    settings = settings.replace("- {at_most: 3, per: 7d}", "- {at_most: 1, per: 1d}")
    (root / "treue.yaml").write_text(settings.replace("quiet_hours:", 'quiet_hours:\n  email: "20:00-08:00"'))
    with assembled(load(root)) as assembly:
        assembly.publish(START)
        with assembly.store.transaction() as connection:
            people = [
                CustomerInput(key, email=f"{key}@example.com", timezone="Europe/Berlin")
                for key in ("ada", "bob")
            ]
            customers.upsert(connection, people, START)
            consents.give(connection, [ConsentInput(one.key, "email") for one in people], START)
        for hours, key in ((0, "ada"), (1, "ada"), (12, "bob")):  # 11 and 12 o'clock in Berlin, and 23
            now = START + timedelta(hours=hours)
            with assembly.store.transaction() as connection:
                (id_,) = customers.ids_for_keys(connection, [key]).values()
                which = journeys.find(connection, "news")
                assert which is not None
                arrivals.enroll(connection, which, [id_], now)
            run_pass(assembly.engine, now)
    return root


def test_status_tells_how_many_messages_are_held_why_and_until_when(treue: Run, holding: Path) -> None:
    found = treue(holding, "status", "--json").json
    held = found["outbox"]["held"]
    assert {reason: one["messages"] for reason, one in held.items()} == {"over_limit": 1, "quiet_hours": 1}
    assert held["over_limit"]["next"] == "2026-03-02T10:00:00Z"
    assert "2026-03-02T07:00:00Z" <= held["quiet_hours"]["next"] <= "2026-03-02T07:30:00Z"
    assert (found["outbox"]["queued"], found["journeys"]["news"]["sent"]) == (2, {"email": 1})
    shown = treue(holding, "status").out
    assert "1 over limit, 1 quiet hours; the next may go 2026-03-02 08:" in shown


def test_why_tells_what_holds_a_message_and_until_when(treue: Run, holding: Path) -> None:
    (held,) = [one for one in trail(treue, holding, "ada", "news") if one["decision"] == "held"]
    assert (held["step"], held["reason"]) == ("letter", "over_limit")
    assert (held["values"]["had"], held["values"]["until"]) == (1, "2026-03-02T10:00:00Z")
    (held,) = [one for one in trail(treue, holding, "bob", "news") if one["decision"] == "held"]
    assert held["reason"] == "quiet_hours"
    shown = treue(holding, "why", "ada").out + treue(holding, "why", "bob").out
    assert "the message is held until 2026-03-02 11:00" in shown
    assert "(1 counted, the limit is 1 in 1d)" in shown
    assert "the message is held until 2026-03-02 08:" in shown


def test_what_was_held_is_held_no_more_once_it_has_gone(treue: Run, holding: Path) -> None:
    with assembled(load(holding)) as assembly:
        run_pass(assembly.engine, START + timedelta(hours=24))
    found = treue(holding, "status", "--json").json
    assert (found["outbox"]["held"], found["journeys"]["news"]["sent"]) == ({}, {"email": 3})
    assert trail(treue, holding, "bob", "news")[-1]["decision"] == "sent"
    assert "held  " not in treue(holding, "status").out


# --- pause, resume, stop ----------------------------------------------------------------------------------


def test_nobody_moves_in_a_paused_journey_until_it_goes_on(treue: Run, lived: Path) -> None:
    assert treue(lived, "pause", "welcome").code == 0
    assert treue(lived, "status", "--json").json["journeys"]["welcome"]["state"] == "paused"
    before = len(trail(treue, lived, "c1", "welcome"))
    with assembled(load(lived)) as assembly:
        run_pass(assembly.engine, START + timedelta(days=20))
        assert len(trail(treue, lived, "c1", "welcome")) == before
        treue(lived, "resume", "welcome")
        run_pass(assembly.engine, START + timedelta(days=20))
    assert len(trail(treue, lived, "c1", "welcome")) > before


def test_stopping_lets_everyone_out_with_a_trace_and_calls_back_what_is_queued(
    treue: Run, lived: Path
) -> None:
    store = database(lived)
    with store.transaction() as connection:
        welcome = connection.scalar(select(journey.c.id).where(journey.c.name == "welcome"))
        newest = select(func.max(message.c.id)).where(message.c.journey_id == welcome).scalar_subquery()
        connection.execute(update(message).where(message.c.id == newest).values(state="queued"))
        inside = connection.scalar(
            select(func.count()).where(enrollment.c.journey_id == welcome, enrollment.c.outcome == "inside")
        )
    refused = treue(lived, "stop", "welcome")
    assert refused.code == 2
    assert f"{inside} customers would leave welcome for good" in refused.err
    done = treue(lived, "stop", "welcome", "--yes")
    assert f"welcome is stopped: {inside} customers left. 1 queued message called back." in done.out
    counts = treue(lived, "status", "--json").json["journeys"]["welcome"]
    assert (counts["inside"], counts["queued"], counts["state"]) == (0, 0, "stopped")
    assert counts["refused"]["left_before_send"] == 1
    with store.reading() as connection:
        noted = connection.scalar(
            select(func.count()).where(trace.c.journey_id == welcome, trace.c.reason == "stopped")
        )
    assert noted == inside
    store.close()
    catch_up(lived)
    assert treue(lived, "status", "--health").code == 0
    assert "0 customers left" in treue(lived, "stop", "welcome").out


def test_a_stopped_journey_stays_stopped_when_the_files_are_published_again(treue: Run, lived: Path) -> None:
    from treue.store import events
    from treue.store.inputs import EventInput

    treue(lived, "stop", "welcome", "--yes")
    entered = treue(lived, "status", "--json").json["journeys"]["welcome"]["entered"]
    now = START + timedelta(days=30)
    with assembled(load(lived)) as assembly:
        assembly.publish(now)
        with assembly.store.transaction() as connection:
            events.record(connection, [EventInput("new", "order.placed", now, {})], now)
        run_pass(assembly.engine, now)
    found = treue(lived, "status", "--json").json["journeys"]["welcome"]
    assert (found["entered"], found["inside"]) == (entered, 0)


@pytest.mark.parametrize("verb", ["pause", "resume", "stop"])
def test_a_journey_nobody_knows_cannot_be_held(treue: Run, lived: Path, verb: str) -> None:
    done = treue(lived, verb, "welcom")
    assert done.code == 2
    assert "Did you mean `welcome`?" in done.err


# --- db ---------------------------------------------------------------------------------------------------


def test_the_database_is_made_by_upgrade_and_found_well_by_check(treue: Run, files: Path) -> None:
    missing = treue(files, "db", "check", "--json")
    assert missing.code == 1
    assert "db upgrade" in missing.json["problem"]
    assert treue(files, "db", "upgrade").code == 0
    found = treue(files, "db", "check", "--json")
    assert (found.code, found.json["problem"]) == (0, None)
    assert found.json["revision"] == found.json["wanted"]
    assert treue(files, "db", "upgrade").code == 0


RETENTION = "retention: {trace: 30d, events: 30d, messages: 30d, stays: 30d, receipts: 30d, changes: 30d}\n"


def test_db_vacuum_deletes_old_rows_and_why_says_so_while_status_says_the_same(
    treue: Run, lived: Path
) -> None:
    settings = lived / "treue.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + RETENTION, encoding="utf-8")
    before = treue(lived, "status", "--json").json["journeys"]
    told = treue(lived, "why", "c3", "--journey", "welcome", "--json").json
    assert "older_than_retention" in told
    assert told["older_than_retention"] == {}
    deleted = treue(lived, "db", "vacuum", "--json").json["deleted"]
    assert deleted["trace"] > 0
    assert deleted["message"] > 0
    assert treue(lived, "status", "--json").json["journeys"] == before
    shown = treue(lived, "why", "c3", "--journey", "welcome").out
    assert "(exited): what was decided is older than the retention of `trace` (30d)." in shown
    again = treue(lived, "db", "vacuum")
    assert again.out.splitlines()[0].split() == ["table", "deleted"]
    assert set(treue(lived, "db", "vacuum", "--json").json["deleted"].values()) == {0}


def test_passes_delete_old_rows_by_night_once_and_record_what_fails(
    treue: Run, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lived / "treue.yaml"
    settings.write_text(settings.read_text(encoding="utf-8") + RETENTION, encoding="utf-8")
    noon = datetime.fromisoformat("2026-11-02T12:00:00+00:00")

    def deleted_at(now: datetime) -> bool:
        with store.reading() as connection:
            before = connection.scalar(select(func.count()).select_from(trace))
        act(now)
        with store.reading() as connection:
            return connection.scalar(select(func.count()).select_from(trace)) != before

    store, workspace = database(lived), load(lived)
    act = nightly(workspace, store)
    assert act is not None
    monkeypatch.setattr("treue.composition.vacuum.SECONDS_A_PASS", -1.0)
    assert deleted_at(noon), "one batch"
    monkeypatch.undo()
    with store.reading() as connection:
        nights = heartbeat.find(connection, heartbeat.VACUUM)
        assert nights is not None
        assert nights.succeeded_at is None, "its time was up"
    act(noon + timedelta(minutes=1))
    with store.transaction() as connection:
        nights = heartbeat.find(connection, heartbeat.VACUUM)
        assert nights is not None
        assert nights.succeeded_at == noon + timedelta(minutes=1)
        assert heartbeat.claim(connection, heartbeat.VACUUM, noon + timedelta(hours=1))
        assert not heartbeat.claim(connection, heartbeat.VACUUM, noon + timedelta(hours=1)), (
            "somebody is at it"
        )
    tomorrow = noon + timedelta(days=1)
    monkeypatch.setattr("treue.composition.vacuum.vacuum", _fail)
    for hour in range(4):
        act(tomorrow + timedelta(hours=hour))
        act(tomorrow + timedelta(hours=hour, minutes=30))
    with store.reading() as connection:
        found = status(connection, tomorrow + timedelta(hours=4))
    (sentence,) = [one for one in found.health.sentences if "Old rows" in one]
    assert (
        sentence == "Old rows could not be deleted 4 times in a row, the last time 1 h ago: No room is left."
    )
    store.close()


def _fail(*_: object) -> None:
    raise StoreError("No room is left.")


def test_rows_are_deleted_by_night_only_where_the_settings_say_how_long_they_are_kept(
    lived: Path,
) -> None:
    store = database(lived)
    assert nightly(load(lived), store) is None
    store.close()


def test_check_counts_what_names_nothing(treue: Run, files: Path) -> None:
    assert treue(files, "db", "upgrade").code == 0
    store = database(files)
    with store.transaction() as connection:
        connection.execute(insert(draw).values(enrollment_id=1, step_id=2, arm="a"))
    store.close()
    found = treue(files, "db", "check", "--json")
    assert found.code == 1
    assert found.json["orphans"] == {"draw.enrollment_id": 1, "draw.step_id": 1}
    assert "1 in draw.step_id" in found.json["problem"]

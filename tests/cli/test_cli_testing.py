"""`treue test` as people call it: what it prints, its JSON, how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.calling import Run

PASSING = """\
- test: All well
  customer: {email: a@example.com, consent: email}
  timeline: [{at: 2026-03-02 10:00, event: order.placed, data: {total: 20, currency: EUR}}]
  expect:
    - {at: 2026-03-02 10:00, send: welcome}
    - {at: 2026-03-05 10:00, send: welcome-listening}
    - {at: 2026-03-15 10:00, send: welcome-all-well}
"""
FAILING = PASSING.replace("All well", "Too late").replace("10:00, send: welcome}", "11:00, send: welcome}")


def test_it_prints_each_test_and_the_branches_none_reaches(treue: Run, files: Path) -> None:
    (files / "journeys" / "welcome.test.yaml").write_text(PASSING)
    done = treue(files, "test", "welcome")
    assert (done.code, done.err) == (0, "")
    assert "welcome\n  ✓ All well\n" in done.out
    assert "1 test, all passed." in done.out
    assert "journeys/welcome.yaml:14  goal: order.placed" in done.out


def test_a_failed_test_shows_its_timelines_and_ends_with_one(treue: Run, files: Path) -> None:
    (files / "journeys" / "welcome.test.yaml").write_text(PASSING + FAILING)
    done = treue(files, "test", "welcome")
    assert done.code == 1
    assert "✗ Too late  journeys/welcome.test.yaml:8" in done.out
    assert "- 2026-03-02 11:00  send welcome  (journeys/welcome.test.yaml:12)" in done.out
    assert "2 tests, 1 failed." in done.out


def test_json_has_name_passed_diff_and_coverage(treue: Run, files: Path) -> None:
    (files / "journeys" / "welcome.test.yaml").write_text(PASSING + FAILING)
    done = treue(files, "test", "welcome", "--json")
    good, bad = done.json["tests"]
    assert (done.code, done.json["format"]) == (1, 1)
    assert (good["name"], good["passed"], good["diff"]) == ("All well", True, None)
    assert (bad["passed"], bad["file"], bad["line"]) == (False, "journeys/welcome.test.yaml", 8)
    assert "← at another time" in bad["diff"]
    found = done.json["coverage"]["welcome"]
    assert (found["branches"], found["share"]) == (5, 0.4)
    assert {key: found["missed"][1][key] for key in ("file", "line")} == {
        "file": "journeys/welcome.yaml",
        "line": 12,
    }


def test_a_mistake_in_a_test_is_shown_and_stops_no_run(treue: Run, files: Path) -> None:
    (files / "journeys" / "welcome.test.yaml").write_text(PASSING.replace("welcome-all-well", "wellcome"))
    done = treue(files, "test")
    assert (done.code, done.out) == (1, "")
    assert "journeys/welcome.test.yaml:7:36 T302 There is no template `wellcome`." in done.err
    assert "1 problem in this workspace." in done.err
    assert treue(files, "compile", "welcome").code == 0


def test_a_journey_that_is_not_there_is_wrong_usage(treue: Run, files: Path) -> None:
    done = treue(files, "test", "welcom")
    assert (done.code, done.out) == (2, "")
    assert "There is no journey `welcom`. Did you mean `welcome`?" in done.err


def test_it_needs_neither_prefect_nor_a_server() -> None:
    code = (
        "import sys; import treue.cli.authoring.test, treue.testing.scenarios;"
        "sys.exit(any(m.split('.')[0] in ('prefect', 'apscheduler', 'fastapi') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_new_workspace_has_its_journeys_tests_and_they_pass(treue: Run, tmp_path: Path) -> None:
    assert treue(None, "init", tmp_path / "shop", "--journey", "onboarding").code == 0
    assert treue(tmp_path / "shop", "check").code == 0
    assert treue(tmp_path / "shop", "test").code == 0


def test_a_test_is_made_of_what_happened_to_a_customer_and_passes(treue: Run, lived: Path) -> None:
    (lived / "journeys" / "welcome.test.yaml").unlink()
    for customer in ("c5", "c3", "c4"):
        done = treue(lived, "test", "--create", customer, "--journey", "welcome")
        assert done.code == 0, done.out
        assert "differs" not in done.err
    text = (lived / "journeys" / "welcome.test.yaml").read_text()
    assert "c5@" not in text
    assert "id: someone, email: someone@example.com" in text
    assert "country" not in text  # the journey does not read it
    assert "outcome: converted" in text
    assert "outcome: exited, reason: consent.withdrawn" in text
    assert "outcome: inside" in text


def test_no_test_can_be_made_of_who_was_nowhere(treue: Run, lived: Path) -> None:
    done = treue(lived, "test", "--create", "nobody")
    assert (done.code, done.err) == (2, "treue: There is no customer nobody.\n")
    done = treue(lived, "test", "--create", "c5", "--journey", "win-back")
    assert done.code == 2
    assert "The customer has never been in `win-back`" in done.err

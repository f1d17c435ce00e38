"""What a test may say, and what then happens: each on the real engine under a virtual clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from treue.errors import WorkspaceError
from treue.testing import scenarios
from treue.testing.scenarios import Report
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

Run = Callable[..., Report]

VISIT = "    - {at: 2026-03-02 10:00, event: shop.visited}\n"
ADA = "customer: {email: ada@example.com, first_name: Ada, country: DE, consent: email}"


@pytest.fixture
def run(make: Callable[[str], object]) -> Run:
    """Run a file of tests on the small workspace; other files of it may be replaced."""

    def run_(text: str, **files: str) -> Report:
        return scenarios.run(make(text, **files), ["visit"])  # type: ignore[arg-type, call-arg]

    return run_


def diffs(report: Report) -> list[str]:
    return [line for result in report.results for line in result.diff]


def test_the_reference_journeys_pass_their_tests_which_reach_every_branch() -> None:
    workspace = load(reference_workspace(), tests=True).require()
    report = scenarios.run(workspace, list(workspace.journeys))
    assert diffs(report) == []
    assert {one.journey: one.missed for one in report.coverage} == dict.fromkeys(workspace.journeys, ())


def test_a_day_without_an_hour_is_any_time_of_it_and_within_allows_for_later(run: Run) -> None:
    report = run(f"""
- test: Times
  {ADA}
  timeline:
{VISIT}  draw: {{half: left}}
  expect:
    - {{at: 2026-03-02, send: hello}}
    - {{at: 2026-03-04 09:30, within: 30m, send: voucher}}
""")
    assert diffs(report) == []


def test_times_are_the_customers_own(run: Run) -> None:
    report = run("""
- test: In New York
  customer: {email: a@example.com, country: DE, timezone: America/New_York, consent: email}
  timeline:
    - {at: 2026-03-06 10:00, event: shop.visited}
  draw: {half: left}
  expect:
    - {at: "2026-03-06T16:00:00+01:00", send: hello}
    - {at: 2026-03-08 10:00, send: voucher}
""")
    assert diffs(report) == []


def test_a_day_keeps_its_local_hour_over_a_clock_change(run: Run) -> None:
    report = run(f"""
- test: Spring
  {ADA}
  timeline:
    - {{at: 2026-03-28 10:00, event: shop.visited}}
  draw: {{half: left}}
  expect:
    - {{at: 2026-03-28 10:00, send: hello}}
    - {{at: 2026-03-30 10:00, send: voucher}}
""")
    assert diffs(report) == []


def test_the_customer_changes_agrees_withdraws_and_is_written_to_accordingly(run: Run) -> None:
    report = run("""
- test: Changes
  customer: {country: DE}
  timeline:
    - {at: 2026-03-02 09:00, set: {email: a@example.com, phone: "+4915112345678", vip: true, first_name: Ada}}
    - {at: 2026-03-02 09:00, consent: [sms, email]}
    - {at: 2026-03-02 10:00, event: shop.visited}
    - {at: 2026-03-04 08:00, set: {first_name: Eve}}
  draw: {half: right}
  expect:
    - {at: 2026-03-02 10:00, send: hello, on: sms, contains: Hello from the shop.}
    - {set: {mood: quiet}}
    - {at: 2026-03-05 10:00, send: thanks, on: email, subject: "Thank you, Eve"}
    - {outcome: finished}
""")
    assert diffs(report) == []


def test_a_suppressed_address_is_not_written_to(run: Run) -> None:
    report = run(f"""
- test: Suppressed
  customer: {{email: a@example.com, country: DE, consent: email, suppressed: email}}
  timeline:
{VISIT}  draw: {{half: left}}
  expect:
    - {{not_sent: voucher, on: email, reason: suppressed}}
""")
    assert diffs(report) == []


def test_a_click_ends_the_wait_for_it_when_it_comes(run: Run) -> None:
    visit = """
description: Somebody looked into our shop.
category: relational
basis: consent
enter: {event: shop.visited}
steps:
  - {send: hello, on: email}
  - wait: {for: {message: hello, was: clicked}, at_most: 2d, then: [{send: more, on: email}]}
"""
    tests = f"""
- test: Clicked
  {ADA}
  timeline:
{VISIT}    - {{at: 2026-03-02 12:00, message: hello, is: clicked}}
  expect:
    - {{at: 2026-03-02 10:00, send: hello}}
    - {{at: 2026-03-02 12:00, send: more}}
"""
    assert diffs(run(tests, visit=visit, quiet="description: x\nwhere: {consent: email}\n")) == []


def test_each_arm_can_be_asked_for_and_the_holdout_too(run: Run) -> None:
    cases = (
        ("left", "false", "[{send: hello}, {send: voucher}]"),
        ("right", "false", "[{send: hello}]"),
        ("left", "true", "[{not_sent: voucher, reason: held_out}]"),
        ("right", "true", "[{not_sent: hello, reason: held_out}, {not_sent: voucher}]"),
    )
    texts = [
        f"""
- test: {arm} {held_out} {n}
  customer: {{id: c{n}, email: a@example.com, country: DE, consent: email}}
  timeline:
{VISIT}  draw: {{half: {arm}}}
  held_out: {held_out}
  expect: {expect}
"""
        for n in range(3)
        for arm, held_out, expect in cases
    ]
    assert diffs(run("".join(texts))) == []


BY_TIME = """\
description: Nothing for a month.
category: relational
basis: consent
enter: {segment: quiet}
exit: [{attribute: vip, is: true}]
steps:
  - {send: hello, on: email}
  - {wait: 1mo}
  - {send: more, on: email}
"""
QUIET = "description: Quiet.\nwhere: [{event: shop.visited}, {not: {event: shop.visited, within: 1mo}}]\n"


def test_a_segment_is_joined_when_its_time_has_come_without_anything_happening(run: Run) -> None:
    report = run(
        f"""
- test: A month
  {ADA}
  timeline:
    - {{at: 2026-01-31 10:00, event: shop.visited}}
  expect:
    - {{at: 2026-03-01 00:00, send: hello}}
    - {{at: 2026-04-01 00:00, send: more}}
  until: 2026-06-01
- test: Not again from history
  {ADA}
  history:
    - {{at: 2026-01-01 10:00, event: shop.visited}}
  live: 2026-03-01
  expect: []
- test: An exit by a state, seen at once
  {ADA}
  timeline:
    - {{at: 2026-01-31 10:00, event: shop.visited}}
    - {{at: 2026-03-03 12:00, set: {{vip: true}}}}
  expect:
    - {{at: 2026-03-01 00:00, send: hello}}
    - {{at: 2026-03-03 12:00, outcome: exited, reason: condition}}
""",
        visit=BY_TIME,
        quiet=QUIET,
    )
    assert diffs(report) == []


def test_somebody_is_enrolled_by_hand(run: Run) -> None:
    by_hand = BY_TIME.replace("segment: quiet", "manual: true")
    report = run(
        f"""
- test: By hand
  {ADA}
  timeline: [{{at: 2026-03-02 10:00, enroll: true}}]
  expect: [{{at: 2026-03-02 10:00, send: hello}}, {{at: 2026-04-02 10:00, send: more}}]
""",
        visit=by_hand,
        quiet=QUIET,
    )
    assert diffs(report) == []


def test_a_schedule_lets_in_at_its_slots(run: Run) -> None:
    weekly = BY_TIME.replace("{segment: quiet}", '{segment: quiet, schedule: "0 9 * * MON"}')
    report = run(
        f"""
- test: Mondays at nine
  {ADA}
  history: [{{at: 2026-01-01 10:00, event: shop.visited}}]
  live: 2026-03-04
  expect: [{{at: 2026-03-09 09:00, send: hello}}, {{at: 2026-04-09 09:00, send: more}}]
  until: 2026-06-01
""",
        visit=weekly,
        quiet=QUIET,
    )
    assert diffs(report) == []


def test_branches_no_test_reaches_are_listed_with_their_lines(run: Run) -> None:
    report = run(f"""
- test: Quiet
  {ADA}
  timeline:
{VISIT}  draw: {{half: right}}
  expect: [{{send: hello}}]
""")
    [found] = report.coverage
    assert [(part.place.file, part.place.line, part.says) for part in found.missed] == [
        ("journeys/visit.yaml", 18, "if message hello of this stay was clicked"),
        ("journeys/visit.yaml", 26, "arm left"),
        ("journeys/visit.yaml", 29, "`if` holds: vip is true"),
        ("journeys/visit.yaml", 8, "exit: consent.withdrawn"),
        ("journeys/visit.yaml", 9, "goal: order.placed"),
    ]
    assert found.share == pytest.approx(4 / 9)


def test_where_nobody_enters_nothing_is_reached(make: Callable[[str], object]) -> None:
    workspace = make("- {test: x, customer: {}, live: 2026-03-01, expect: []}")
    report = scenarios.run(workspace, ["visit"])  # type: ignore[arg-type]
    assert report.coverage[0].share == 0


def test_any_timeline_is_the_same_one_every_time(run: Run) -> None:
    text = f"""
- test: Any
  {ADA}
  timeline: any
  never: more than 1 a month
"""
    first = diffs(run(text))
    assert first[-1].startswith("! 2 messages within 30d, more than 1: hello, ")
    assert diffs(run(text)) == first


def test_sends_of_one_template_are_told_apart_by_their_steps(run: Run) -> None:
    visit = (
        "description: Somebody looked in.\ncategory: relational\nbasis: consent\nenter: {event: shop.visited}\n"
        "exit: [{event: consent.withdrawn}]\n"
        "steps: [{id: first, send: hello, on: email}, {wait: 1d}, {id: again, send: hello, on: email}, {send: voucher, on: email}]\n"
    )
    tests = (
        "- test: One\n  customer: {email: a@example.com, consent: email, first_name: Ada}\n"
        "  timeline: [{at: 2026-03-02 10:00, event: shop.visited, data: {page: jazz}}]\n"
        "  expect: [{at: 2026-03-02 10:00, send: hello}]\n"
    )
    (result,) = run(tests, visit=visit, quiet="description: x\nwhere: {consent: email}\n").results
    assert [line.strip() for line in result.diff if "send" in line] == [
        "2026-03-02 10:00  send hello on email by first",
        "+ 2026-03-03 10:00  send hello on email “Hello Ada” by again  ← not expected",
        "+ 2026-03-03 10:00  send voucher on email “A gift”  ← not expected",
    ]


CALLS = """
description: Who visits is told to the shop, and no longer written to.
category: relational
basis: consent
enter: {event: shop.visited}
steps:
  - call: "https://hooks.example.com/{{ customer.country }}"
    json: {name: "{{ customer.first_name }}", kind: visit}
  - wait: 1h
  - withdraw: email
"""
LISTED = "calls: {hosts: [hooks.example.com]}\n"


def test_calls_and_withdrawals_are_expected_as_they_are_made(run: Run) -> None:
    report = run(
        f"""
- test: Told
  {ADA}
  timeline:
{VISIT}
  expect:
    - {{at: 2026-03-02 10:00, call: "https://hooks.example.com/DE", json: {{name: Ada, kind: visit}}}}
    - {{at: 2026-03-02 11:00, withdraw: email}}
- test: Not told so
  {ADA}
  timeline:
{VISIT}
  expect:
    - {{at: 2026-03-02 10:00, call: "https://hooks.example.com/AT"}}
    - {{call: "https://hooks.example.com/DE", json: {{name: Ben, kind: visit}}}}
    - {{at: 2026-03-02 12:00, withdraw: email}}
""",
        visit=CALLS,
        settings=LISTED,
        quiet=QUIET,
    )
    told, otherwise = report.results
    assert told.diff == ()
    made = "+ 2026-03-02 10:00  call https://hooks.example.com/DE name=Ada, kind=visit  ← "
    shown = [line for line in otherwise.diff if line.startswith("+")]
    assert shown[:2] == [f"{made}to another address", f"{made}with another document"]
    assert [line[:18] for line in shown[2:]] == ["+ 2026-03-02 11:00"]


BESIDE = """
description: Writes about orders.
category: relational
basis: consent
enter: {event: order.placed}
steps:
  - {send: thanks, on: email}
"""


def test_journeys_that_a_test_names_are_live_as_well(run: Run) -> None:
    tests = f"""
- test: Alone
  {ADA}
  timeline:
    - {{at: 2026-03-02 10:00, event: order.placed, data: {{total: 5}}}}
  expect: []
- test: Together
  with: [beside]
  {ADA}
  timeline:
    - {{at: 2026-03-02 10:00, event: order.placed, data: {{total: 5}}}}
  expect:
    - {{at: 2026-03-02 10:00, send: thanks}}
    - {{outcome: never}}
"""
    assert diffs(run(tests, beside=BESIDE)) == []


def test_a_test_that_names_what_is_not_there_is_told(make: Callable[..., object]) -> None:
    tests = f"""
- test: With nobody
  with: [besides]
  {ADA}
  timeline: [{{at: 2026-03-02 10:00, event: shop.visited}}]
  expect:
    - {{withdraw: email}}
    - {{call: "https://hooks.example.com/DE"}}
"""
    with pytest.raises(WorkspaceError) as told:
        make(tests, beside=BESIDE)
    said = str(told.value)
    assert "There is no journey `besides`" in said
    assert "Did you mean `beside`?" in said
    assert "The journey `visit` withdraws no consent to `email`." in said
    assert "The journey `visit` makes no call to `https://hooks.example.com/DE`." in said


LATER = """\
- test: An address and a consent that come later
  customer: {country: DE}
  timeline:
    - {at: 2026-03-02 10:00, event: shop.visited}
    - {at: 2026-03-02 10:00:03, set: {email: ada@example.com}}
    - {at: 2026-03-02 10:00:03, consent: email}
  until: 2026-03-03
  expect:
    - {at: 2026-03-02 10:05, send: hello, on: email}
- test: A customer who is told of after her event
  customer: {email: ben@example.com, country: DE, consent: email}
  timeline:
    - {at: 2026-03-02 10:00, event: shop.visited}
    - {at: 2026-03-02 10:00:03, event: customer.created}
  until: 2026-03-03
  expect:
    - {at: 2026-03-02 10:05, send: hello, on: email}
- test: Nothing comes
  customer: {country: DE}
  timeline:
    - {at: 2026-03-02 10:00, event: shop.visited}
  until: 2026-03-03
  expect:
    - {not_sent: hello, reason: no_address}
"""
GREETS = """\
description: Somebody looked into our shop.
category: relational
basis: consent
enter: {event: shop.visited}
steps:
  - {send: hello, on: [sms, email]}
"""
NOBODY = "description: Nobody.\nwhere: {attribute: vip, is: true}\n"


def test_what_is_told_of_a_customer_moments_later_still_counts(run: Run) -> None:
    assert diffs(run(LATER, visit=GREETS, quiet=NOBODY)) == []

"""The interpreter by itself: small lives whose right outcome can be read off the language's page.

Each is lived through with a pass at every instant, hour by hour, and in one late pass: what becomes of her is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import Any

import pytest
import yaml

from tests.differential.asking import Record, Suppressed
from tests.differential.generator import Act, Case, Entry, Person
from tests.differential.harness import a_life, by_instant, live, punctual
from tests.differential.interpreter import Life

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PASSES = ("in time", "hourly", "late")


@pytest.fixture(params=PASSES)
def passes(request: pytest.FixtureRequest) -> str:
    """When passes run."""
    found: str = request.param
    return found


class Story:
    """One customer, some journeys in YAML, and what happens; times are `DAY HH:MM[:SS]` of March 2026, UTC."""

    def __init__(self, passes: str, segments: dict[str, str] | None = None, **journeys: str) -> None:
        files = {name.replace("_", "-"): document(text) for name, text in journeys.items()}
        meanings = {name: yaml.load(text, Plain) for name, text in (segments or {}).items()}
        who = Person("ada", None, {"email": "ada@example.com"}, {}, {"email": "consent"}, [], START)
        self.passes, self.who = passes, who
        self.case = Case(0, START, at("31 00:00"), meanings, [Act(START, "publish", files)], [who])

    def event(self, when: str, name: str, late: int = 0, **properties: Any) -> None:
        self.happens(when, "event", {"name": name, "properties": properties, "late": late})

    def set(self, when: str, name: str, value: Any) -> None:
        self.happens(when, "attribute", {"name": name, "value": value})

    def happens(self, when: str, kind: str, data: dict[str, Any]) -> None:
        self.who.timeline.append(Entry(at(when), kind, data))

    def live(self) -> Life:
        life, happenings = a_life(self.case, self.who), by_instant(self.case)
        for now in self.passes_of(life, happenings):
            for instant in sorted(one for one in happenings if one <= now):
                for _, what in happenings.pop(instant):
                    live(life, what, instant)
            life.run(now)
        return life

    def passes_of(self, life: Life, happenings: dict[datetime, Any]) -> Iterator[datetime]:
        if self.passes == "in time":
            yield from punctual(life, self.case, happenings)
        elif self.passes == "hourly":
            hours = (START + timedelta(hours=n) for n in count())
            yield from takewhile(lambda hour: hour <= self.case.end, hours)
        else:
            yield START
            yield self.case.end

    def mails(self) -> list[tuple[str, str]]:
        """Return when each message was due, with its template; those refused for lateness too."""
        told = [m for m in self.live().customer.messages if m.state == "sent" or m.reason in LATE]
        return [
            (f"{m.due:%-d %H:%M:%S}", m.template) for m in sorted(told, key=lambda m: (m.due, m.template))
        ]

    def stays(self) -> list[tuple[str, str, str | None, str]]:
        """Return journey, outcome, reason and when she left, of each stay."""
        found = self.live().customer.stays
        return [
            (s.journey, s.outcome, s.reason, f"{s.left_at:%-d %H:%M:%S}" if s.left_at else "") for s in found
        ]


class Plain(yaml.SafeLoader):
    """YAML in which `on` is a word."""


Plain.yaml_implicit_resolvers = {
    first: found for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items() if first not in "oOyYnN"
}

LATE = ("stale", "left_before_send")


def document(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {"category": "transactional"} | yaml.load(text, Plain)
    return found


def at(when: str) -> datetime:
    day, clock = when.split()
    hours = [int(part) for part in clock.split(":")]
    return datetime(2026, 3, int(day), *hours, tzinfo=UTC)


SENDS = "steps: [{send: hello, on: email}]"
BY_ORDER = "enter: {event: order.placed, again: always}"


# --- two orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", ["2 10:00:02", "2 12:00"])
def test_two_orders_without_a_wait_are_two(passes: str, apart: str) -> None:
    story = Story(passes, j=f"{{{BY_ORDER}, {SENDS}}}")
    story.event("2 10:00", "order.placed")
    story.event(apart, "order.placed")
    assert len(story.mails()) == 2


def test_two_orders_without_a_wait_and_only_an_event_to_emit_are_two(passes: str) -> None:
    story = Story(passes, j=f"{{{BY_ORDER}, steps: [{{emit: told}}]}}")
    story.event("2 10:00", "order.placed")
    story.event("2 10:00:02", "order.placed")
    assert sum(event.name == "told" for event in story.live().customer.events) == 2


@pytest.mark.parametrize(("apart", "mails"), [("2 10:00:02", 1), ("2 12:00", 2)])
@pytest.mark.parametrize("again", ["always", "1h"])
def test_two_orders_with_half_an_hours_wait(passes: str, apart: str, mails: int, again: str) -> None:
    steps = "steps: [{wait: 30m}, {send: hello, on: email}]"
    story = Story(passes, j=f"{{enter: {{event: order.placed, again: {again}}}, {steps}}}")
    story.event("2 10:00", "order.placed")
    story.event(apart, "order.placed")
    assert len(story.mails()) == mails


@pytest.mark.parametrize(("apart", "mails"), [("2 10:59:59", 1), ("2 11:00", 2), ("2 11:00:01", 2)])
def test_again_an_hour_after_leaving_is_that_very_instant(passes: str, apart: str, mails: int) -> None:
    story = Story(passes, j=f"{{enter: {{event: order.placed, again: 1h}}, {SENDS}}}")
    story.event("2 10:00", "order.placed")
    story.event(apart, "order.placed")
    assert len(story.mails()) == mails


def test_two_orders_of_one_instant_are_the_first_and_the_second(passes: str) -> None:
    first = "enter: {event: order.placed, if: {event: order.placed, exactly: 1}}"
    second = "enter: {event: order.placed, if: {event: order.placed, exactly: 2}}"
    hello, more = "steps: [{send: hello, on: email}]", "steps: [{send: more, on: email}]"
    story = Story(passes, j=f"{{{first}, {hello}}}", k=f"{{{second}, {more}}}")
    story.event("2 10:00", "order.placed", total=1)
    story.event("2 10:00", "order.placed", total=2)
    assert story.mails() == [("2 10:00:00", "hello"), ("2 10:00:00", "more")]
    began = {
        stay.journey: stay.event.properties["total"] for stay in story.live().customer.stays if stay.event
    }
    assert began == {"j": 1, "k": 2}


def test_the_third_order_is_the_third_though_a_fourth_follows_soon(passes: str) -> None:
    third = "enter: {event: order.placed, if: {event: order.placed, exactly: 3}}"
    story = Story(passes, j=f"{{{third}, {SENDS}}}")
    for when in ("2 10:00", "3 10:00", "4 10:00", "4 10:40"):
        story.event(when, "order.placed")
    assert story.mails() == [("4 10:00:00", "hello")]


# --- of one instant ---------------------------------------------------------------------------------------------

LEAVING = "{enter: {event: order.placed}, exit: [{event: told}], steps: [{send: hello, on: email}]}"


def test_an_exit_listed_after_the_entry_ends_the_stay_before_its_step(passes: str) -> None:
    story = Story(passes, j=LEAVING)
    story.event("2 10:00", "order.placed")
    story.event("2 10:00", "told")
    assert (story.mails(), story.stays()) == ([], [("j", "exited", "told", "2 10:00:00")])


def test_an_exit_listed_before_the_entry_ends_nothing(passes: str) -> None:
    story = Story(passes, j=LEAVING)
    story.event("2 10:00", "told")
    story.event("2 10:00", "order.placed")
    assert story.mails() == [("2 10:00:00", "hello")]


WELCOME = """{enter: {event: signed.up}, steps: [{send: hello, on: email}, {wait: {for: {event: order.placed}, at_most: 7d,
    then: [{stop: true}], otherwise: [{send: more, on: email}]}}]}"""


@pytest.mark.parametrize("when", ["2 10:00", "2 10:00:01", "9 10:00"])
def test_a_wait_hears_what_follows_the_start_within_its_instant_and_at_its_end(
    passes: str, when: str
) -> None:
    story = Story(passes, j=WELCOME)
    story.event("2 10:00", "signed.up")
    story.event(when, "order.placed")
    assert [template for _, template in story.mails()] == ["hello"]


def test_a_wait_does_not_hear_what_came_before_the_start_within_its_instant(passes: str) -> None:
    story = Story(passes, j=WELCOME)
    story.event("2 10:00", "order.placed")
    story.event("2 10:00", "signed.up")
    assert story.mails() == [("2 10:00:00", "hello"), ("9 10:00:00", "more")]


def test_a_wait_that_ends_by_an_event_ends_at_its_instant(passes: str) -> None:
    wait = (
        "wait: {for: {event: told, at_least: 2}, at_most: 7d, then: [{wait: 1h}, {send: hello, on: email}]}"
    )
    story = Story(passes, j=f"{{enter: {{event: signed.up}}, steps: [{{{wait}}}]}}")
    for name, when in (("signed.up", "2 10:00"), ("told", "3 10:00"), ("told", "4 11:30")):
        story.event(when, name)
    assert story.mails() == [("4 12:30:00", "hello")]


def test_what_is_set_at_an_instant_is_not_known_to_the_event_before_it(passes: str) -> None:
    story = Story(
        passes,
        j=f"{{enter: {{event: order.placed, if: {{attribute: vip, is: true}}, again: always}}, {SENDS}}}",
    )
    story.event("2 10:00", "order.placed")
    story.set("2 10:00", "vip", True)
    assert story.mails() == []
    story.event("2 10:00", "order.placed")
    assert len(story.mails()) == 1


def test_a_step_sees_all_of_its_instant_from_outside(passes: str) -> None:
    choose = "choose: [{if: [{event: told}, {attribute: vip, is: true}], steps: [{send: hello, on: email}]}]"
    story = Story(passes, j=f"{{enter: {{event: order.placed}}, steps: [{{wait: 1h}}, {{{choose}}}]}}")
    story.event("2 10:00", "order.placed")
    story.set("2 11:00", "vip", True)
    story.event("2 11:00", "told")
    assert story.mails() == [("2 11:00:00", "hello")]


def test_of_two_journeys_the_one_of_higher_priority_goes_first(passes: str) -> None:
    says = "enter: {event: order.placed}"
    low = f"{{{says}, priority: 10, steps: [{{set: {{country: AT}}}}]}}"
    high = f"{{{says}, priority: 90, steps: [{{set: {{country: FR}}}}]}}"
    story = Story(passes, a=low, b=high)
    story.event("2 10:00", "order.placed")
    assert story.live().customer.attributes["country"] == "AT"


# --- over journeys ----------------------------------------------------------------------------------------------


def test_an_exit_later_than_a_step_does_not_undo_it(passes: str) -> None:
    steps = (
        "steps: [{wait: 1h}, {set: {visits: 1}}, {wait: 1h}, {emit: ping}, {wait: 1d}, {set: {visits: 2}}]"
    )
    story = Story(passes, j=f"{{enter: {{event: order.placed}}, exit: [{{event: told}}], {steps}}}")
    story.event("2 10:00", "order.placed")
    story.event("2 20:00", "told")
    life = story.live()
    assert life.customer.attributes["visits"] == 1
    assert [f"{e.at:%H:%M}" for e in life.customer.events if e.name == "ping"] == ["12:00"]
    assert story.stays() == [("j", "exited", "told", "2 20:00:00")]


def test_a_goal_after_the_last_step_counts_only_within(passes: str) -> None:
    plain = "{enter: {event: order.placed}, goal: {event: told}, steps: [{wait: 1h}, {set: {visits: 1}}]}"
    within = "{enter: {event: order.placed}, goal: {event: told, within: 1d}, steps: [{wait: 1h}, {set: {visits: 1}}]}"
    story = Story(passes, j=plain, k=within)
    story.event("2 10:00", "order.placed")
    story.event("3 10:00", "told")
    assert story.stays() == [("j", "finished", None, "2 11:00:00"), ("k", "converted", "told", "3 10:00:00")]


def test_what_one_journey_sets_and_emits_another_sees_from_then_on(passes: str) -> None:
    first = "{enter: {event: order.placed}, steps: [{wait: 1h}, {set: {country: FR}}, {emit: ping}]}"
    ask = "choose: [{if: [{attribute: country, is: FR}, {event: ping}], steps: [{send: %s, on: email}]}]"
    second = "{enter: {event: order.placed}, steps: [{wait: %s}, {" + ask + "}]}"
    story = Story(passes, a=first, b=second % ("4h", "hello"), c=second % ("59m", "more"))
    story.event("2 10:00", "order.placed")
    story.set("2 16:00", "country", "DE")
    assert story.mails() == [("2 14:00:00", "hello")]
    assert story.live().customer.attributes["country"] == "DE"


def test_the_last_of_two_sets_holds(passes: str) -> None:
    story = Story(passes, j="{enter: {event: order.placed}, steps: [{wait: 1h}, {set: {country: FR}}]}")
    story.event("2 10:00", "order.placed")
    story.set("2 10:30", "country", "AT")
    story.set("2 11:00", "country", "DE")
    assert story.live().customer.attributes["country"] == "FR"


def test_what_steps_cause_comes_after_the_steps_of_the_instant(passes: str) -> None:
    """The last journey would write before the middle one, were it let in at once."""
    first = "{enter: {event: order.placed}, priority: 90, steps: [{wait: 1h}, {emit: ping}]}"
    middle = "{enter: {event: order.placed}, steps: [{wait: 1h}, {set: {country: FR}}]}"
    last = "{enter: {event: ping}, priority: 80, steps: [{set: {country: AT}}]}"
    story = Story(passes, a=first, b=middle, c=last)
    story.event("2 10:00", "order.placed")
    assert story.live().customer.attributes["country"] == "AT"


# --- loops ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["", "{wait: 1m}, "])
def test_an_event_begins_the_week_anew(passes: str, more: str) -> None:
    steps = f"steps: [{{wait: 7d}}, {{send: hello, on: email}}, {more}{{emit: ping}}]"
    story = Story(passes, j=f"{{enter: {{event: ping, again: always}}, exit: [{{event: told}}], {steps}}}")
    story.event("2 10:00", "ping")
    story.event("25 10:00", "told")
    minutes = (0, 1, 2) if more else (0, 0, 0)
    assert [when for when, _ in story.mails()] == [
        f"{day} 10:{minute:02}:00" for day, minute in zip((9, 16, 23), minutes, strict=True)
    ]
    assert [outcome for _, outcome, _, _ in story.stays()] == ["finished", "finished", "finished", "exited"]


def test_a_journey_that_starts_itself_in_an_instant_does_so_once(passes: str) -> None:
    story = Story(
        passes, j="{enter: {event: ping, again: always}, steps: [{send: hello, on: email}, {emit: ping}]}"
    )
    story.event("2 10:00", "ping")
    assert story.mails() == [("2 10:00:00", "hello")]


def test_two_journeys_that_start_each_other_go_round_once(passes: str) -> None:
    one = "{enter: {event: ping, again: always}, steps: [{send: hello, on: email}, {start: two}]}"
    two = "{enter: {manual: true, again: always}, steps: [{send: more, on: email}, {emit: ping}]}"
    story = Story(passes, one=one, two=two)
    story.event("2 10:00", "ping")
    assert [template for _, template in story.mails()] == ["hello", "more"]


# --- exits by condition -----------------------------------------------------------------------------------------

PROS = {"pros": "[{attribute: country, is: FR}]"}
WHILE_NOT_PRO = """{enter: {event: order.placed}, exit: [{segment: pros}],
    steps: [{send: hello, on: email}, {wait: 1d}, {send: more, on: email}]}"""


def test_who_has_a_reason_to_leave_is_not_let_in(passes: str) -> None:
    story = Story(passes, PROS, j=WHILE_NOT_PRO)
    story.set("2 09:30", "country", "FR")
    story.event("2 10:00", "order.placed")
    assert (story.mails(), story.stays()) == ([], [])


def test_a_reason_to_leave_in_the_very_instant_of_a_step_comes_before_it(passes: str) -> None:
    story = Story(passes, PROS, j=WHILE_NOT_PRO)
    story.event("2 10:00", "order.placed")
    story.set("3 10:00", "country", "FR")
    assert [template for _, template in story.mails()] == ["hello"]
    assert story.stays() == [("j", "exited", "segment pros", "3 10:00:00")]


def test_a_reason_to_leave_of_a_steps_own_making_is_found_at_the_next_step(passes: str) -> None:
    steps = "steps: [{set: {country: FR}}, {send: hello, on: email}]"
    story = Story(passes, PROS, j=f"{{enter: {{event: order.placed}}, exit: [{{segment: pros}}], {steps}}}")
    story.event("2 10:00", "order.placed")
    assert story.stays() == [("j", "exited", "segment pros", "2 10:00:00")]


def test_the_last_look_asks_for_reasons_to_leave() -> None:
    story = Story("late", PROS, j=f"{{enter: {{event: order.placed}}, exit: [{{segment: pros}}], {SENDS}}}")
    story.event("30 10:00", "order.placed")
    story.set("30 11:00", "country", "FR")
    (message,) = story.live().customer.messages
    assert (message.state, message.reason) == ("refused", "left_before_send")


# --- looking back -----------------------------------------------------------------------------------------------

HALF_AN_HOUR = """{enter: {event: signed.up, if: {event: told, within: 30m}},
    steps: [{send: hello, on: email}, {send: more, on: email, if: {event: order.placed}}]}"""


@pytest.mark.parametrize(
    ("seen", "comes"), [("2 10:00", True), ("2 09:50:01", True), ("2 09:50", False), ("2 09:40", False)]
)
def test_a_look_back_is_from_the_instant_itself_and_its_far_end_is_open(
    passes: str, seen: str, comes: bool
) -> None:
    story = Story(passes, j=HALF_AN_HOUR)
    story.event(seen, "told")
    story.event("2 10:20", "signed.up")
    story.event("2 10:50", "order.placed")
    assert story.mails() == ([("2 10:20:00", "hello")] if comes else [])


@pytest.mark.parametrize(("when", "holds"), [("2 10:00", False), ("2 09:59:59", True)])
def test_the_last_order_before_a_day_ago_is_more_than_a_day_ago(passes: str, when: str, holds: bool) -> None:
    ask = "{event: order.placed, last: {before: 1d ago}}"
    story = Story(passes, j=f"{{enter: {{event: signed.up, if: {ask}}}, {SENDS}}}")
    story.event(when, "order.placed")
    story.event("3 10:00", "signed.up")
    assert bool(story.mails()) is holds


@pytest.mark.parametrize(("since", "mails"), [("", ["hello"]), (", since: entry", ["more"])])
def test_the_same_cart_is_also_that_of_the_start_and_of_before_unless_since_entry(
    passes: str, since: str, mails: list[str]
) -> None:
    ask = f"if: {{event: order.placed, same: cart_id{since}}}, steps: [{{send: hello, on: email}}]"
    choose = f"choose: [{{{ask}}}, {{else: [{{send: more, on: email}}]}}]"
    story = Story(passes, j=f"{{enter: {{event: ping}}, steps: [{{wait: 1h}}, {{{choose}}}]}}")
    story.event("2 09:59", "order.placed", cart_id="a")
    story.event("2 10:00", "ping", cart_id="a")
    story.event("2 10:30", "order.placed", cart_id="b")
    assert [template for _, template in story.mails()] == mails


# --- late -------------------------------------------------------------------------------------------------------


def test_a_late_event_starts_at_its_own_time_but_acts_when_it_is_known(passes: str) -> None:
    steps = "steps: [{send: hello, on: email}, {wait: 30m}, {emit: ping}, {wait: 2h}, {emit: pong}]"
    story = Story(passes, j=f"{{enter: {{event: order.placed}}, {steps}}}")
    story.event("2 11:00", "order.placed", late=60)
    life = story.live()
    assert story.mails() == [("2 10:00:00", "hello")]
    (stay,) = life.customer.stays
    assert (stay.entered_at, stay.effective) == (at("2 10:00"), at("2 11:00"))
    caused = {e.name: (e.at, e.effective) for e in life.customer.events if e.source == "journey:j"}
    assert caused == {"ping": (at("2 10:30"), at("2 11:00")), "pong": (at("2 12:30"), at("2 12:30"))}


def test_what_was_not_yet_received_is_not_seen(passes: str) -> None:
    ask = "choose: [{if: {event: told}, steps: [{send: hello, on: email}]}]"
    story = Story(passes, j=f"{{enter: {{event: order.placed}}, steps: [{{wait: 1h}}, {{{ask}}}]}}")
    story.event("2 10:00", "order.placed")
    story.event("2 11:30", "told", late=60)
    assert story.mails() == []


def test_of_one_instant_the_late_event_goes_before_what_is_of_now(passes: str) -> None:
    story = Story(passes, j=LEAVING)
    story.event("2 11:00", "told")
    story.event("2 11:00", "order.placed", late=30)
    assert story.stays() == [("j", "exited", "told", "2 11:00:00")]


# --- schedules and days -----------------------------------------------------------------------------------------


def test_each_slot_lets_in_whoever_is_in_the_segment_then(passes: str) -> None:
    enter = "enter: {schedule: '0 13 * * *', segment: pros, again: always}"
    story = Story(passes, PROS, j=f"{{{enter}, {SENDS}}}")
    story.set("3 12:00", "country", "FR")
    story.set("5 12:00:01", "country", "DE")
    assert [when for when, _ in story.mails()] == ["3 12:00:00", "4 12:00:00", "5 12:00:00"]


def test_a_day_that_was_put_off_lets_in_on_the_day_that_holds_then(passes: str) -> None:
    story = Story(passes, j=f"{{enter: {{date: trial_ends, at: '12:00'}}, {SENDS}}}")
    story.set("2 10:00", "trial_ends", "2026-03-05T10:00:00Z")
    story.set("4 10:00", "trial_ends", "2026-03-07T10:00:00Z")
    story.set("8 10:00", "trial_ends", "2026-03-06T10:00:00Z")
    assert [when for when, _ in story.mails()] == ["7 11:00:00"]


# --- the record -------------------------------------------------------------------------------------------------


def test_a_record_says_what_it_said_at_a_place() -> None:
    record, ten, noon = Record({"country": "DE"}), at("2 10:00"), at("2 12:00")
    record.write("country", "FR", (noon, noon, 5))
    record.write("country", "AT", (ten, ten, 7))
    assert [record.as_of("country", (ten, ten, n)) for n in (6, 7, 8)] == ["DE", "AT", "AT"]
    assert dict(record) == {"country": "FR"}
    record.now = ten
    record["country"] = None
    assert dict(record) == {}
    assert record.as_of("country", (noon, noon, 5)) == "FR"


def test_who_agrees_later_is_refused_now_and_written_to_then(passes: str) -> None:
    steps = "steps: [{send: hello, on: email}, {wait: 1d}, {send: more, on: email}]"
    story = Story(
        passes, j=f"{{category: relational, basis: consent, enter: {{event: order.placed}}, {steps}}}"
    )
    story.happens("2 09:30", "withdraw", {"channel": "email"})
    story.event("2 10:00", "order.placed")
    story.happens("2 11:00", "consent", {"channel": "email", "basis": "consent"})
    said = {m.template: m.reason for m in story.live().customer.messages}
    assert (said["hello"], said["more"] == "unsubscribed") == ("unsubscribed", False)


def test_a_suppression_counts_from_its_own_time(passes: str) -> None:
    story = Story(passes, j=f"{{enter: {{event: order.placed, again: always}}, {SENDS}}}")
    story.event("2 10:00", "order.placed")
    story.happens("2 10:00:01", "suppress", {"channel": "email", "address": "ada@example.com"})
    story.event("2 11:00", "order.placed")
    life = story.live()
    assert life.customer.suppressed == [Suppressed("ada@example.com", at("2 10:00:01"))]
    assert life.customer.messages[1].reason == "suppressed"


# --- what is real time ------------------------------------------------------------------------------------------


def test_nobody_is_judged_on_a_mail_that_was_not_sent() -> None:
    """The pass comes a day late: the deadline runs from when the mail went."""
    wait = "wait: {for: {message: hello, was: clicked}, at_most: 2d, otherwise: [{send: more, on: email}]}"
    story = Story(
        "late",
        j=f"{{enter: {{event: order.placed}}, steps: [{{send: hello, on: email, valid_for: 1w}}, {{{wait}}}]}}",
    )
    story.event("2 10:00", "order.placed")
    life, happenings = a_life(story.case, story.who), by_instant(story.case)
    for now in (START, at("3 10:00"), at("4 10:00"), at("5 09:59"), at("5 10:00")):
        for instant in sorted(one for one in happenings if one <= now):
            for _, what in happenings.pop(instant):
                live(life, what, instant)
        life.run(now)
        waits = [m.template for m in life.customer.messages]
        assert ("more" in waits) is (now == at("5 10:00"))


# --- several stays at one step -------------------------------------------------------------------------------------


def test_stays_that_come_to_a_step_at_one_instant_are_all_asked_before_one_acts(passes: str) -> None:
    enter = "enter: {event: order.placed, per: cart_id}"
    story = Story(
        passes,
        j=f"{{{enter}, exit: [{{attribute: vip, is: true}}], steps: [{{wait: 1h}}, {{set: {{vip: true}}}}]}}",
    )
    story.event("2 10:00", "order.placed", cart_id="a")
    story.event("2 10:00", "order.placed", cart_id="b")
    assert [stay[1:3] for stay in story.stays()] == [("finished", None), ("finished", None)]


def test_what_is_told_at_the_instant_she_becomes_known_held_from_the_start(passes: str) -> None:
    story = Story(passes, j=f"{{enter: {{event: order.placed, if: {{consent: email}}}}, {SENDS}}}")
    story.who.born = at("2 10:00")
    story.event("2 10:00", "order.placed", late=1)
    assert len(story.mails()) == 1

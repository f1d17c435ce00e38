"""What a condition depends on, as those who ask it must know beforehand."""

from __future__ import annotations

from treue.segments.facts import reads
from treue.segments.needs import comparisons, event_names, needs, only_events
from treue.segments.tree import All, AnyOf, Condition, InSegment, Not, Op, Same
from treue.vocabulary.conditions.aggregate.word import Aggregate
from treue.vocabulary.conditions.attribute.word import Attribute
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.event.word import Happened
from treue.vocabulary.conditions.journey.word import JourneyIs
from treue.vocabulary.conditions.reachable.word import Reachable

ABOVE_50 = (Op("above", (50,)),)
SPENT = Aggregate("sum", "order.paid", "total", "number", ABOVE_50)


def test_a_condition_says_what_it_needs_to_know_of_the_stay() -> None:
    entry, arrival = Happened("a", since="entry"), Happened("a", since="arrival")
    same = Happened("a", same=Same("cart", "text"))
    assert needs(All((Happened("a"), SPENT, HasConsent("email")))) == set()
    entered = {"entered_effective_at", "entered_at", "entered_seq"}
    assert needs(Not(AnyOf((HasConsent("sms"), entry)))) == entered
    assert needs(InSegment("some", All((arrival, same)))) == entered | {"arrived_effective_at", "event_id"}


def test_the_events_a_condition_looks_at_are_those_of_all_its_leaves() -> None:
    condition = All((Not(Happened("order.placed")), InSegment("payers", SPENT), HasConsent("sms")))
    assert event_names(condition) == {"order.placed", "order.paid"}


def test_a_condition_on_anything_but_events_is_not_only_on_events() -> None:
    assert only_events(AnyOf((Not(Happened("a")), InSegment("payers", SPENT))))
    assert not only_events(All((Happened("a"), InSegment("agreed", HasConsent("email")))))


def test_what_is_compared_is_counted_through_segments_and_lists() -> None:
    numbers = Attribute("points", "number", (Op("in", (1, 2, 3)), Op("exists", (True,))))
    texts = Attribute("country", "text", (Op("in", ("DE", "AT", "CH")),))
    assert comparisons(numbers) == 4
    assert comparisons(texts) == 1
    assert comparisons(AnyOf((HasConsent("sms"), InSegment("some", All((texts, Not(numbers))))))) == 6


def test_what_is_read_together_is_counted_once() -> None:
    counted = (Happened("a"), Happened("a", (Op("at_least", (3,)),)), Happened("b", since="entry"))
    asked = All((*counted, Not(SPENT), InSegment("some", counted[0]), Reachable("sms"), HasConsent("sms")))
    assert reads([asked, JourneyIs("welcome", "inside"), JourneyIs("welcome", "never")]) == 7


def test_since_arrival_goes_to_every_event_that_does_not_say_since_when() -> None:
    bought, agreed = Happened("a", (Op("at_least", (2,)),)), HasConsent("sms")
    kept = (Happened("a", since="entry"), InSegment("some", bought), SPENT, agreed)
    condition: Condition = All((AnyOf((bought, agreed)), Not(bought), *kept))
    since = Happened("a", (Op("at_least", (2,)),), since="arrival")
    assert condition.since_arrival() == All((AnyOf((since, agreed)), Not(since), *kept))

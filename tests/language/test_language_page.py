"""The examples on the language's page: what belongs to this version loads, what comes later says so in its place.

`page/` holds the examples as they stand on the page; where the page lies beside the repository, they are compared.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from treue.clock import Duration
from treue.language.conditions import CONDITION
from treue.language.grammar import INVALID, Context, Schema
from treue.language.pressure import Limit
from treue.language.problems import Place, Problem, Problems
from treue.language.source import read
from treue.language.step_rows import STEP
from treue.language.triggers import ENTER
from treue.model.states import BUILT_IN_EVENTS
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.registry import WORDS
from treue.vocabulary.workspace import load

HERE = Path(__file__).parent / "page"
PAGE = Path(__file__).parents[3] / "shared" / "spec" / "language.md"
TEMPLATES = "welcome welcome-favourites welcome-again-short welcome-again welcome-voucher nps"

SCHEMA = Schema(
    {"country": "text", "tags": "list", "birthday": "date", "trial_ends": "date"},
    {
        **BUILT_IN_EVENTS,
        "order.placed": {"total": "number", "cart_id": "text"},
        "cart.abandoned": {"cart_id": "text"},
    },
    ("email", "sms", "push"),
)

CONDITIONS_OF_THIS_VERSION = [
    "{attribute: country, is: DE}",
    "{attribute: tags, contains: vip}",
    "{event: order.placed}",
    "{event: order.placed, at_least: 2, within: 90d, where: {total: {above: 50}}}",
    "{event: order.placed, last: {before: 180d ago}}",
    "{event: order.placed, same: cart_id, since: entry}",
    "{sum: order.placed.total, above: 500, within: 1y}",
    "{segment: dormant}",
    "{consent: email}",
    "{reachable: sms}",
    "{journey: onboarding, is: inside}",
    "{attribute: birthday, anniversary_in: 3d}",
    "{message: welcome, was: clicked, within: 7d}",
]
CONDITIONS_OF_LATER_ONES = {
    "{points: {at_least: 100}}": "points",
    "{tier: gold}": "tier",
    "{score: churn, above: 0.7}": "score",
}
STEPS_OF_THIS_VERSION = [
    "{send: welcome, on: email}",
    "{send: welcome, on: [push, email]}",
    "{send: welcome, on: [push, email], all: true, valid_for: 1d, from: shop@example.com, data: {colour: red}}",
    "{wait: 2d}",
    "{choose: [{if: {consent: email}, steps: [{stop: true}]}, {else: [{wait: 1d 12h}]}]}",
    "{split: {short: {weight: 1, steps: [{wait: 1d}]}, long: {weight: 3, steps: [{wait: 2d}]}}}",
    "{split: {a: {weight: 1, steps: [{send: welcome, on: email}]}, b: {weight: 1, steps: [{send: welcome, on: sms}]}}, learn: clicked}",
    "{set: {country: DE}}",
    '{set: {country: "{{ event.source }}"}}',
    "{emit: cart.abandoned, data: {cart_id: c1}}",
    '{call: "https://example.com/{{ customer.id }}", method: POST, json: {a: 1}, secret: HOOK}',
    "{start: onboarding}",
    '{wait: {until: "09:00", on: [mon, tue]}}',
    "{wait: {until: {attribute: trial_ends, before: 2d}}}",
    "{wait: {for: {event: order.placed}, at_most: 7d, then: [{stop: true}], otherwise: [{stop: true}]}}",
    "{stop: true}",
    "{id: named, if: {consent: email}, stop: true}",
]
STEPS_OF_LATER_ONES = {
    "{award: {points: 50, reason: survey}}": "award",
    "{award: {voucher: spring}}": "award",
    "{ask: nps, on: email, template: nps}": "ask",
}
TRIGGERS_OF_THIS_VERSION = [
    "{event: customer.created, where: {source: {not: import}}, again: never}",
    "{segment: dormant, again: always}",
    '{schedule: "0 9 * * MON", segment: dormant, again: 90d}',
    "{manual: true, if: {attribute: country, in: [DE, AT, CH]}}",
    "{event: cart.abandoned, per: cart_id}",
    '{schedule: "0 9 * * MON", segment: dormant, each: run}',
    '{date: birthday, before: 3d, at: "09:00"}',
    '{date: trial_ends, after: 1y, at: "09:00", every: once}',
]


def parse(kind: object, text: str) -> tuple[object, list[Problem]]:
    problems = Problems()
    root = read("x.yaml", f"x: {text}", problems)
    assert root is not None
    node = root.get("x")
    assert node is not None
    found = kind.parse(
        node,
        Context(problems, SCHEMA, lambda name, place: HasConsent("email"), ("cart.abandoned",), words=WORDS),
    )  # type: ignore[attr-defined]
    return found, problems.all()


def later(text: str, word: str) -> list[Problem]:
    place = Place("x.yaml", 1, f"x: {text}".index(word) + 1, len(word))
    return [Problem(place, "T211", f"`{word}` comes with a later version of Treue.")]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace that has everything the page's journey refers to."""
    settings = (HERE / "settings.yaml").read_text()
    (tmp_path / "treue.yaml").write_text(re.sub(r"(?m)^  when_over:.*\n", "", settings))
    for folder in ("journeys", "segments"):
        (tmp_path / folder).mkdir()
    (tmp_path / "segments/staff.yaml").write_text("description: Us.\nwhere: {attribute: country, is: XX}\n")
    for name in TEMPLATES.split():
        (tmp_path / "templates" / name).mkdir(parents=True)
        for file in ("email.html", "push.txt"):
            (tmp_path / "templates" / name / file).write_text("Hello\n")
    return tmp_path


def test_the_journey_is_read_as_written(shop: Path) -> None:
    (shop / "journeys/welcome.yaml").write_text((HERE / "journey.yaml").read_text())
    journey = load(shop).require().journeys["welcome"]
    assert (journey.category, journey.basis, journey.holdout, journey.priority) == (
        "relational",
        "consent",
        1000,
        50,
    )
    assert [exit_.name for exit_ in journey.exits] == ["consent.withdrawn", "segment staff"]
    assert [type(step).__name__ for step in journey.steps] == [
        "Send",
        "Wait",
        "ChooseStep",
        "WaitForStep",
        "Send",
    ]


def test_the_test_loads(shop: Path) -> None:
    journey = re.sub(r"(?m)^  - wait: \{for:.*\n", "", (HERE / "journey.yaml").read_text())
    (shop / "journeys/welcome.yaml").write_text(journey)
    (shop / "journeys/welcome.test.yaml").write_text((HERE / "test.yaml").read_text())
    [found] = load(shop, tests=True).require().tests["welcome"]
    assert found.name == "A customer who clicks gets her favourites two days later"
    assert (len(found.timeline or ()), len(found.expect or ())) == (2, 2)


def test_the_segment_loads(shop: Path) -> None:
    (shop / "segments/dormant.yaml").write_text((HERE / "segment.yaml").read_text())
    assert "dormant" in load(shop).require().segments


def test_the_settings_load_but_for_the_line_that_is_no_yaml(shop: Path) -> None:
    settings = load(shop).require().settings
    assert settings.workspace == "teeladen"
    assert settings.channels["email"].rate == "500/s"
    assert settings.schema.events["order.placed"] == {"total": "number", "currency": "text", "items": "list"}
    assert settings.limits == (Limit(3, Duration(days=7)), Limit(1, Duration(days=1), channel="sms"))
    assert settings.quiet_hours == {"sms": (20 * 60, 8 * 60), "push": (22 * 60, 7 * 60)}


def test_a_key_among_the_entries_of_a_list_is_not_yaml_as_on_the_page(shop: Path) -> None:
    text = (HERE / "settings.yaml").read_text()
    (shop / "treue.yaml").write_text(text)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if "when_over" in line)
    assert [(p.code, p.place.line) for p in load(shop).problems] == [("T101", line)]


@pytest.mark.parametrize("text", CONDITIONS_OF_THIS_VERSION)
def test_a_condition_of_the_page_is_understood(text: str) -> None:
    found, problems = parse(CONDITION, text)
    assert problems == []
    assert found is not INVALID


@pytest.mark.parametrize("text", STEPS_OF_THIS_VERSION)
def test_a_step_of_the_page_is_understood(text: str) -> None:
    found, problems = parse(STEP, text)
    assert problems == []
    assert found is not INVALID


@pytest.mark.parametrize("text", TRIGGERS_OF_THIS_VERSION)
def test_a_trigger_of_the_page_is_understood(text: str) -> None:
    found, problems = parse(ENTER, text)
    assert problems == []
    assert found is not INVALID


@pytest.mark.parametrize(("text", "word"), CONDITIONS_OF_LATER_ONES.items())
def test_a_later_condition_says_so_in_its_place(text: str, word: str) -> None:
    assert parse(CONDITION, text) == (INVALID, later(text, word))


@pytest.mark.parametrize(("text", "word"), STEPS_OF_LATER_ONES.items())
def test_a_later_step_says_so_in_its_place(text: str, word: str) -> None:
    assert parse(STEP, text) == (INVALID, later(text, word))


def test_every_condition_of_the_page_is_tried_here() -> None:
    lines = (HERE / "conditions.yaml").read_text()
    on_the_page = set(re.findall(r"(?m)(?:^|(?<=\}   ))\{[^…\n]*?\}+(?=\s|$)", lines))
    assert on_the_page == {*CONDITIONS_OF_THIS_VERSION, *CONDITIONS_OF_LATER_ONES}


@pytest.mark.skipif(not PAGE.is_file(), reason="the language's page does not lie beside this repository")
@pytest.mark.parametrize("name", ["journey", "conditions", "segment", "settings", "test"])
def test_the_examples_here_are_those_of_the_page(name: str) -> None:
    assert f"```yaml\n{(HERE / f'{name}.yaml').read_text()}```" in PAGE.read_text()

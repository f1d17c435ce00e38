"""Each rule finds what its page says, and nothing in what its page calls right."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from treue.language.problems import LINT, Problem
from treue.lint import RULES, LintInput, findings
from treue.lint.__main__ import page
from treue.lint.audiences import SellsTooEarly
from treue.lint.data import Data
from treue.lint.rule import Rule
from treue.render.templates.workspace_check import template_problems, workspace_renderer
from treue.store import customers, events
from treue.store.inputs import CustomerInput, EventInput
from treue.store.store import Store
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
REST = {
    "description": "An example.",
    "category": "relational",
    "basis": "consent",
    "enter": {"event": "customer.created"},
    "exit": [{"event": "consent.withdrawn"}],
    "steps": [{"send": "welcome", "on": "email"}],
}
"""What an example leaves out."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace without journeys."""
    source = reference_workspace()
    for folder in ("segments", "templates"):
        shutil.copytree(source / folder, tmp_path / folder)
    shutil.copy(source / "treue.yaml", tmp_path)
    (tmp_path / "journeys").mkdir()
    return tmp_path


def journey(root: Path, text: str, name: str = "example", leave_out: Sequence[str] = ()) -> None:
    given = set(yaml.safe_load(text)) | set(leave_out)
    rest = {key: value for key, value in REST.items() if key not in given}
    whole = text + "\n" + yaml.safe_dump(rest, sort_keys=False)
    (root / "journeys" / f"{name}.yaml").write_text(whole, encoding="utf-8")


def found(root: Path, data: Data | None = None) -> list[Problem]:
    workspace = load(root)
    assert [problem for problem in workspace.problems if not problem.is_warning] == []
    templates = template_problems(workspace)
    files = LintInput(workspace, workspace_renderer(workspace), templates)
    return list(findings(files, data))


def codes(root: Path, data: Data | None = None) -> list[str]:
    return [problem.code for problem in found(root, data)]


@pytest.mark.parametrize(
    "rule", [one for one in RULES if one.wrong and one.code < "T6"], ids=lambda one: one.code
)
def test_a_rule_finds_its_own_example_and_not_the_one_it_calls_right(rule: Rule, root: Path) -> None:
    left_out = ("exit",) if rule.code == "T504" else ()
    journey(root, rule.wrong, leave_out=left_out)
    assert rule.code in codes(root)
    journey(root, rule.right, leave_out=left_out)
    assert rule.code not in codes(root)


def test_every_code_of_lint_has_one_rule_with_a_page() -> None:
    assert tuple(rule.code for rule in RULES) == LINT
    assert all(rule.page for rule in RULES)


def test_the_page_in_the_documents_is_the_one_the_rules_make() -> None:
    text = (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
    assert text == page(), "run `python -m treue.lint > docs/lint.md`"


def test_the_reference_workspace_has_nothing_to_be_warned_of() -> None:
    assert found(reference_workspace()) == []


def test_steps_behind_a_choose_that_always_ends_are_unreachable(root: Path) -> None:
    branches = "[{if: {consent: sms}, steps: [{stop: true}]}, {else: [{stop: true}]}]"
    journey(root, f"steps: [{{choose: {branches}}}, {{send: welcome, on: email}}]")
    (problem,) = found(root)
    assert (problem.code, problem.place.line) == ("T501", 1)
    journey(root, "steps: [{stop: true, if: {consent: sms}}, {send: welcome, on: email}]")
    assert found(root) == []


def test_a_branch_with_the_condition_of_an_earlier_one_is_never_taken(root: Path) -> None:
    branch = "{if: {consent: sms}, steps: [{wait: 1d}]}"
    journey(root, f"steps: [{{choose: [{branch}, {branch}]}}]")
    assert codes(root) == ["T501"]


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* 9 * * *", "sixty times an hour"),
        ("*/7 * * * *", "every 7 minutes"),
        ("0 9 31 * *", "without a 31th"),
        ("0 9 1 * MON", "also on every MON"),
    ],
)
def test_a_schedule_that_surprises_is_explained(root: Path, cron: str, said: str) -> None:
    journey(root, f'enter: {{schedule: "{cron}", segment: regulars}}')
    (problem,) = found(root)
    assert problem.code == "T509"
    assert said in problem.message


def test_buyers_may_be_sold_to_behind_a_branch_that_asks_for_an_order(root: Path) -> None:
    sell = "{send: win-back-discount, on: email}"
    asked = f"{{choose: [{{if: {{segment: regulars}}, steps: [{sell}]}}]}}"
    journey(root, f"category: promotional\nsteps: [{asked}]")
    assert codes(root) == []
    not_asked = f"{{choose: [{{if: {{not: {{segment: regulars}}}}, steps: [{sell}]}}]}}"
    journey(root, f"category: promotional\nsteps: [{not_asked}]")
    assert codes(root) == ["T506"]


def test_a_language_that_most_templates_have_is_missed(root: Path) -> None:
    (root / "templates" / "welcome" / "email.de.mjml").unlink()
    journey(root, "description: x")
    (problem,) = found(root)
    assert (problem.code, problem.place.file) == ("T507", "templates/welcome")
    assert problem.suggestion == "Write templates/welcome/email.de.mjml."


# --- with data --------------------------------------------------------------------------------------------


def filled(store: Store) -> None:
    given = [
        CustomerInput(f"c{n}", attributes={"country": "DE"} | ({"first_name": "Ada"} if n < 6 else {}))
        for n in range(10)
    ]
    order = {"total": 20, "currency": "EUR"}
    with store.transaction() as connection:
        customers.upsert(connection, given, NOW)
        bought = [EventInput(f"c{n % 5}", "order.placed", NOW, order, f"o{n}") for n in range(10)]
        events.record(connection, bought, NOW)


def test_a_branch_that_no_customer_fits_is_said_with_numbers(root: Path, store: Store) -> None:
    filled(store)
    branches = "[{if: {attribute: country, is: Germany}, steps: [{wait: 1d}]}, {if: {attribute: country, is: DE}, steps: [{wait: 2d}]}]"
    journey(root, f"steps: [{{choose: {branches}}}]")
    with store.reading() as connection:
        (problem,) = found(root, Data(connection, NOW, "Europe/Berlin"))
    assert problem.code == "T502"
    assert problem.message == "None of 10 customers fits this branch: country is Germany."


def test_overlapping_audiences_are_said_with_numbers(root: Path, store: Store) -> None:
    filled(store)
    one = "category: promotional\nenter: {segment: regulars}\npriority: 60"
    two = "category: promotional\nenter: {event: order.placed}\npriority: 40"
    journey(root, one, "one")
    journey(root, two, "two")
    with store.reading() as connection:
        (problem,) = found(root, Data(connection, NOW, "Europe/Berlin"))
    assert (problem.code, problem.place.file) == ("T505", "journeys/two.yaml")
    assert problem.message.startswith("5 of the 5 customers of this journey are in the audience of `one` too")
    journey(
        root,
        two.replace("{event: order.placed}", "{event: order.placed, where: {total: {above: 99}}}"),
        "two",
    )
    with store.reading() as connection:
        assert found(root, Data(connection, NOW, "Europe/Berlin")) == []


def test_a_value_that_customers_lack_is_said_with_numbers(root: Path, store: Store) -> None:
    filled(store)
    (root / "templates" / "welcome" / "email.mjml").write_text(
        "---\nsubject: Hello\npreheader: Hi\n---\n<mj-section><mj-column><mj-text>Hello {{ customer.first_name }}</mj-text></mj-column></mj-section>\n",
        encoding="utf-8",
    )
    journey(root, "description: x")
    with store.reading() as connection:
        (problem,) = found(root, Data(connection, NOW, "Europe/Berlin"))
    assert (problem.code, problem.place.file) == ("T508", "templates/welcome/email.mjml")
    assert problem.message.startswith("4 of 10 customers have no first_name")


@pytest.mark.parametrize(
    ("enter", "exit_", "said"),
    [
        ("{event: order.placed}", "{event: order.placed, within: 30d}", True),
        ("{event: order.placed}", "{any: [{consent: email}, {event: order.placed, at_least: 1}]}", True),
        ("{event: order.placed}", "{all: [{consent: email}, {event: order.placed, at_least: 1}]}", False),
        ("{event: order.placed}", "{event: order.placed}", False),
        ("{event: order.placed}", "{event: order.placed, at_least: 2}", False),
        ("{event: order.placed}", "{event: order.placed, exactly: 1}", False),
        ("{event: order.placed}", "{event: order.placed, at_least: 1, where: {currency: EUR}}", False),
        ("{event: cart.abandoned}", "{event: order.placed, at_least: 1}", False),
        ("{event: cart.abandoned}", "{event: cart.abandoned, at_least: 1, same: cart_id}", False),
        ("{segment: regulars}", "{segment: regulars}", True),
        ("{segment: regulars}", "{not: {segment: regulars}}", False),
        ("{event: order.placed, if: {consent: email}}", "{consent: email}", True),
    ],
)
def test_an_exit_that_whoever_enters_meets_already_is_told_at_the_exit(
    root: Path, enter: str, exit_: str, said: bool
) -> None:
    journey(root, f"enter: {enter}\nexit:\n  - event: consent.withdrawn\n  - {exit_}")
    lines = [problem.place.line for problem in found(root) if problem.code == "T511"]
    assert lines == ([4] if said else [])


def test_a_journey_that_is_for_the_first_sale_is_not_asked_about_it(root: Path) -> None:
    journey(root, SellsTooEarly.wrong)
    assert "T506" in codes(root)
    journey(root, f"{SellsTooEarly.wrong}\nfirst_sale: true")
    assert "T506" not in codes(root)


def test_names_in_the_values_of_steps_are_held_against_the_schema(root: Path) -> None:
    steps = "[{set: {city: '{{ customer.frist_name }}'}}, {emit: order.placed, data: {order_id: '{{ first_name }} *|FNAME|*'}}, {set: {city: '{{ customer.city'}}, {emit: order.placed, data: {order_id: '{{ event.id }} {{ now.year }}'}}]"
    journey(root, f"steps: {steps}")
    said = [(one.place.file, one.code, one.message, one.suggestion) for one in template_problems(load(root))]
    assert said == [
        ("journeys/example.yaml", "T403", "'customer' has no 'frist_name'.", "Did you mean first_name?"),
        ("journeys/example.yaml", "T401", "*|FNAME|* is a merge tag of another tool; here it would be sent as it stands.",
         "Write {{ customer.first_name }}; as a text of its own it is {{ '*|FNAME|*' }}."),
        ("journeys/example.yaml", "T401", "{{ is never closed.", "Write }} where it ends."),
    ]  # fmt: skip


def test_what_is_stored_otherwise_than_declared_is_said_with_numbers(root: Path, store: Store) -> None:
    settings = (root / "treue.yaml").read_text(encoding="utf-8")
    (root / "treue.yaml").write_text(
        settings.replace("customer:\n", "customer:\n  points: number\n  until: date\n  size_worn: text\n  first_seen: {type: date, required: true}\n"),
        encoding="utf-8",
    )  # fmt: skip
    kept = [
        {"points": "12", "until": "soon", "size_worn": 3},
        {"points": True},
        {"points": "7", "until": "2026-02-03"},
    ]
    with store.transaction() as connection:
        for n, attributes in enumerate([*kept, {"points": 12, "size_worn": "L"}, {"points": None}]):
            customers.upsert(connection, [CustomerInput(f"c{n}", attributes=attributes)], NOW)
    journey(root, "description: x")
    with store.reading() as connection:
        problems = [one for one in found(root, Data(connection, NOW, "Europe/Berlin")) if one.code == "T512"]
    line = settings[: settings.index("customer:\n")].count("\n") + 2
    assert [(one.place.line, one.message) for one in problems] == [
        (line, "`points` is declared as a number, and 3 of 5 customers have something else there (yes or no for 1, a text for 2): for them it counts as missing."),
        (line + 1, "`until` is declared as a date, and 1 of 5 customers have something else there (a text that is no date for 1): for them it counts as missing."),
        (line + 2, "`size_worn` is declared as a text, and 1 of 5 customers have something else there (a number for 1): for them it counts as missing."),
        (line + 3, "`first_seen` is `required`, and 5 of 5 customers have none: for them a message that prints it fails."),
    ]  # fmt: skip
    assert all(one.place.file == "treue.yaml" and one.suggestion for one in problems)


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("steps: [{wait: {until: {attribute: birthday, before: 3d}}}]", True),
        ("steps: [{choose: [{if: {attribute: country, is: DE}, steps: [{wait: {until: {attribute: birthday}}}]}]}]", True),
        ("enter: {event: customer.created, if: {attribute: birthday, not: 2000-01-01}}\nsteps: [{wait: {until: {attribute: birthday}}}]", True),
        ("enter: {event: customer.created, if: {attribute: birthday, exists: false}}\nsteps: [{wait: {until: {attribute: birthday}}}]", True),
        ("enter: {event: customer.created, if: {attribute: birthday, exists: true}}\nsteps: [{wait: {until: {attribute: birthday}}}]", False),
        ("steps: [{choose: [{if: {attribute: birthday, exists: true}, steps: [{wait: {until: {attribute: birthday}}}]}]}]", False),
        ("steps: [{wait: {until: {attribute: birthday}}, if: [{attribute: birthday, after: 1d ago}]}]", False),
        ("enter: {date: birthday, before: 9d}\nsteps: [{wait: {until: {attribute: birthday}}}]", False),
        ("steps: [{wait: {until: {attribute: created_at, after: 3d}}}]", False),
    ],
)  # fmt: skip
def test_a_wait_for_a_date_that_customers_lack_is_said_with_heads(
    root: Path, store: Store, text: str, heads: bool
) -> None:
    with store.transaction() as connection:
        for n in range(4):
            given = {"birthday": "1990-05-17"} if n else {}
            customers.upsert(connection, [CustomerInput(f"c{n}", attributes={"country": "DE", **given})], NOW)
    journey(root, text)
    with store.reading() as connection:
        problems = [one for one in found(root, Data(connection, NOW, "Europe/Berlin")) if one.code == "T514"]
    passed = "for them the moment counts as passed, and they do not wait here."
    said = f"1 of 4 customers have no birthday: {passed}"
    assert [one.message for one in problems] == [said] * heads
    without = [one.message for one in found(root) if one.code == "T514"]
    assert without == [f"Customers may have no birthday: {passed}"] * heads


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [{send: onboarding-wishlist, on: push, valid_for: 2h}]", ["22:00 and 05:00"]),
        ("steps: [{wait: 1d}, {send: onboarding-wishlist, on: [email, push], valid_for: 90min}]", ["22:00 and 05:30"]),
        ("steps: [{send: onboarding-wishlist, on: push}]", []),
        ("steps: [{send: onboarding-wishlist, on: email, valid_for: 2h}]", []),
        ("steps: [{wait: {until: '09:00'}}, {send: onboarding-wishlist, on: push, valid_for: 2h}]", []),
        ("steps: [{wait: {until: '23:00'}}, {send: onboarding-wishlist, on: push, valid_for: 2h}]", ["22:00 and 05:00"]),
        ("enter: {date: birthday}\nsteps: [{send: onboarding-wishlist, on: push, valid_for: 2h}]", []),
        ("category: transactional\nsteps: [{send: onboarding-wishlist, on: push, valid_for: 2h}]", []),
    ],
)  # fmt: skip
def test_a_message_that_is_stale_before_it_may_go_is_said_with_the_numbers(
    root: Path, text: str, said: list[str]
) -> None:
    journey(root, text, leave_out=["basis"] if "transactional" in text else [])
    problems = [one for one in found(root) if one.code == "T513"]
    assert [hours in one.message for one, hours in zip(problems, said, strict=True)] == [True] * len(said)
    assert all("push is quiet 22:00-07:00, for 9 hours" in one.message for one in problems)
    assert all(
        one.suggestion == "Write `valid_for: 11h`, or wait until a time of the day before it."
        for one in problems
    )


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("{message: welcome, was: clicked}", True),
        ("{not: {message: welcome, was: clicked, channel: email}}", True),
        ("{message: welcome, was: clicked, since: ever}", False),
        ("{message: welcome, was: clicked, within: 30d}", False),
        ("{message: welcome, was: clicked, journey: other}", False),
        ("{message: any, was: clicked}", False),
        ("{message: welcome-all-well, was: clicked}", False),
    ],
)
def test_another_journeys_message_is_asked_about_where_nothing_says_which(
    root: Path, condition: str, said: bool
) -> None:
    journey(root, "steps: [{send: welcome, on: email}]", "other")
    journey(root, f"steps: [{{send: welcome-all-well, on: email}}, {{stop: true, if: {condition}}}]")
    assert ("T516" in codes(root)) is said

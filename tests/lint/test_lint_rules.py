"""Each rule finds what its page says, and nothing in what its page calls right."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from treue.language.problems import LINT, Problem
from treue.lint import RULES, Files, findings
from treue.lint.__main__ import page
from treue.lint.data import Data
from treue.lint.rule import Rule
from treue.render.workspace_check import template_problems, workspace_renderer
from treue.store import customers, events
from treue.store.inputs import CustomerInput, EventInput
from treue.store.store import Store
from treue.workspace.files import reference_workspace
from treue.workspace.loading import load

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
    files = Files(workspace, workspace_renderer(workspace), templates)
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

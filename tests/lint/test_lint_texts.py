"""The rule about SMS: it finds those that say nowhere how to stop, in each language, and no others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from treue.language.problems import Problem
from treue.lint import LintInput, findings
from treue.lint.sms import SaysNowhereHowToStop, names_a_stop_word
from treue.render.templates.workspace_check import workspace_renderer
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

JOURNEY = """\
description: An example.
category: {category}
{basis}enter: {{event: order.placed}}
exit: [{{event: consent.withdrawn}}]
steps: [{{send: text, on: sms}}]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The reference workspace's settings, with one journey that sends one SMS."""
    shutil.copy(reference_workspace() / "treue.yaml", tmp_path)
    for folder in ("journeys", "segments", "templates/text"):
        (tmp_path / folder).mkdir(parents=True)
    _category(tmp_path, "promotional")
    return tmp_path


def _category(root: Path, category: str) -> None:
    basis = "" if category == "transactional" else "basis: consent\n"
    text = JOURNEY.format(category=category, basis=basis)
    (root / "journeys" / "example.yaml").write_text(text)


def found(root: Path, **texts: str) -> list[Problem]:
    """What the rule says of SMS, each under its locale or `all`."""
    for locale, text in texts.items():
        name = "sms.txt" if locale == "all" else f"sms.{locale}.txt"
        (root / "templates" / "text" / name).write_text(text, encoding="utf-8")
    workspace = load(root)
    assert [one for one in workspace.problems if not one.is_warning] == []
    said = findings(LintInput(workspace, workspace_renderer(workspace)), None)
    return [one for one in said if one.code == "T615"]


def test_it_finds_its_own_example_and_not_the_one_it_calls_right(root: Path) -> None:
    rule = SaysNowhereHowToStop()
    (problem,) = found(root, all=rule.wrong)
    assert (problem.place.file, problem.place.line) == ("templates/text/sms.txt", 1)
    assert problem.is_warning
    assert "links.unsubscribe" in (problem.suggestion or "")
    assert found(root, all=rule.right) == []


@pytest.mark.parametrize("category", ["promotional", "relational", "transactional"])
def test_only_marketing_has_to_say_it(root: Path, category: str) -> None:
    _category(root, category)
    assert len(found(root, all="Your shelf is full.")) == (category != "transactional")


def test_a_link_will_do(root: Path) -> None:
    assert found(root, all="New jazz. No more: {{ links.unsubscribe }}") == []
    assert found(root, all="New jazz. No more: {{ links.preferences }}") == []
    assert len(found(root, all="New jazz: {{ links.view }}")) == 1


def test_each_language_has_to_say_it_by_itself(root: Path) -> None:
    (problem,) = found(root, all="New jazz. Reply STOP to end.", de="Neuer Jazz ist da.")
    assert problem.place.file == "templates/text/sms.de.txt"
    assert found(root, de="Neuer Jazz ist da. Abmelden: STOP an 84343.") == []


def test_what_only_some_customers_read_is_not_enough(root: Path) -> None:
    assert len(found(root, all="New jazz.{% if customer.city %} Reply STOP to end.{% endif %}")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Reply STOP to end", "STOP=end", "Text STOP to 84343.", "STOPALL ends it", "Antworte mit STOPP", "Stopp an 84343",
        'Antworte "Stop"', "Antworte „stop“", "Write 'end'", "Reply END", "to unsubscribe, call us", "Abmelden: 0800 1",
        "Opt-out: 84343", "Reply OPTOUT",
    ],
)  # fmt: skip
def test_a_word_that_ends_sms_is_seen(text: str) -> None:
    assert names_a_stop_word(text)


@pytest.mark.parametrize(
    "text",
    [
        "Don't stop the music", "Non-stop jazz all week", "Stop by on Saturday", "The end of summer", "Summer's end",
        "Cancel your plans", "STOPPED clocks", "Full stop.", "No quitters", "WEEKEND SALE", "Das Ende ist nah", "",
    ],
)  # fmt: skip
def test_the_same_letters_in_a_sentence_are_not(text: str) -> None:
    assert not names_a_stop_word(text)


def test_the_reference_workspace_says_it_everywhere() -> None:
    workspace = load(reference_workspace())
    files = LintInput(workspace, workspace_renderer(workspace))
    assert len(files.texts) >= 4
    assert [one for one in findings(files, None) if one.code == "T615"] == []

"""Plans that were stored by an earlier Treue still mean what they meant."""

from __future__ import annotations

from tests.engine.scene import plan_of
from treue.plan.stored import from_json, to_json

BOUGHT = "{not: {event: order.placed, since: entry}}"
TEXT = f"""
enter: {{event: signed.up}}
steps: [{{choose: [{{if: [{{consent: email}}, {BOUGHT}], steps: [{{send: hello, on: email}}]}}]}}]
"""


def in_the_earlier_form(document: object) -> object:
    if isinstance(document, list):
        return [in_the_earlier_form(part) for part in document]
    if not isinstance(document, dict):
        return document
    found = {key: in_the_earlier_form(part) for key, part in document.items() if key not in ("since", "same")}
    return found | {"since_entry": document["since"] == "entry"} if "since" in document else found


def test_a_plan_stored_as_it_is_comes_back_as_it_was() -> None:
    plan = plan_of("hello", TEXT)
    assert from_json(to_json(plan)) == plan


def test_a_plan_of_the_earlier_form_comes_back_as_it_was() -> None:
    plan = plan_of("hello", TEXT)
    earlier = in_the_earlier_form(to_json(plan))
    assert "since_entry" in str(earlier)
    assert isinstance(earlier, dict)
    assert from_json(earlier) == plan

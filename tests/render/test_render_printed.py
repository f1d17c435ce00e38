"""What a template reads is enough to write the message so once more, and nothing else is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.render.writing import Make, context, rendered
from treue.render.templates.printed import printed
from treue.store.printed import Printed

ALWAYS = {
    "customer": {"locale": "de-AT", "timezone": "Europe/Vienna"},
    "journey": {"name": "welcome"},
}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hello.", {}),
        ("{{ customer.first_name }}", {"customer": {"first_name": "Ada"}}),
        ("{{ customer['first_name'] | upper }}", {"customer": {"first_name": "Ada"}}),
        ("{{ event.items[1].name }}", {"event": {"items": context()["event"]["items"]}}),
        ("{% for one in event.items %}{{ one.name }} {% endfor %}", {"event": {"items": context()["event"]["items"]}}),
        ("{{ event.total | money }} {{ event.at | date('long') }}", {"event": {"total": 19.9, "at": context()["event"]["at"]}}),
        ("{% for order in orders %}{{ order.total }} {% endfor %}", {"orders": context()["orders"]}),
        ("{{ now | date('long') }}", {"now": context()["now"]}),
        ("{% set who = customer %}{{ who.first_name }}", {"customer": context()["customer"]}),
        ("{{ customer.first_name }} of {{ sender.postal_address }}",
         {"customer": {"first_name": "Ada"}, "sender": {"postal_address": "Weg 1, 20095 Hamburg"}}),
        ("{{ event.coupon | default('none') }}", {"event": {}}),
        ("Bye: {{ links.unsubscribe }}", {}),
    ],
)  # fmt: skip
def test_the_values_that_a_template_reads_write_it_once_more(
    make: Make, text: str, kept: dict[str, Any]
) -> None:
    renderer, seen = make({"t/sms.txt": text}, schema=None), context()
    found = Printed.of("digest", printed(renderer.reads("t", "sms"), seen)).values
    assert found == {name: {**ALWAYS[name], **kept.get(name, {})} for name in ALWAYS} | {
        name: value for name, value in kept.items() if name not in ALWAYS
    }
    again = renderer.render("sms", "t", found | {"links": seen["links"]})
    assert rendered(again) == rendered(renderer.render("sms", "t", seen))


def test_no_link_and_no_token_is_kept(make: Make) -> None:
    renderer, seen = (
        make({"t/sms.txt": "{% set all = links %}{{ all.view }} {% set c = customer %}{{ c.id }}"}),
        context(),
    )
    seen["customer"]["push_token"] = "secret"
    found = printed(renderer.reads("t", "sms"), seen)
    assert "links" not in found
    assert "secret" not in repr(found)
    assert seen["customer"]["push_token"] == "secret", "the message's own values are left as they are"

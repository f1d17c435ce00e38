"""Missing values, formats in the customer's language, and failures that name their place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.render.writing import Make, context, failed, rendered
from treue.render.problem import RenderFailure


def sms(make: Make, source: str, **more: Any) -> str:
    return rendered(make({"x/sms.txt": source}).render("sms", "x", context(**more))).text.replace(
        "\N{NO-BREAK SPACE}", " "
    )


def person(**more: Any) -> dict[str, Any]:
    return context()["customer"] | more


def test_printing_what_a_customer_lacks_fails_and_says_what_to_write(make: Make) -> None:
    renderer = make({"x/sms.txt": "Hello\n{{ customer.first_name }}!"})
    for customer in (person(first_name=None), {"id": "c1"}):
        failure = failed(renderer.render("sms", "x", context(customer=customer)))
        assert (failure.code, failure.file, failure.line, failure.column) == (
            "missing-value",
            "templates/x/sms.txt",
            2,
            13,
        )
        assert failure.message == (
            "This customer has no first_name; write {{ customer.first_name | default('…') }} "
            "or put it into {% if customer.first_name %}."
        )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ customer.first_name | default('friend') }}", "friend"),
        ("{% if customer.first_name %}a{% else %}b{% endif %}", "b"),
        ("{% if customer.points_total > 100 %}a{% else %}b{% endif %}", "b"),
        ("{% if customer.points_total <= 100 %}a{% else %}b{% endif %}", "b"),
        ("{% if customer.first_name == 'Ada' %}a{% else %}b{% endif %}", "b"),
        ("{% if customer.first_name is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if customer.first_name is none %}a{% else %}b{% endif %}", "a"),
        ("{{ customer.first_name or 'you' }}", "you"),
        ("{% for item in event['items'] %}x{% else %}none{% endfor %}", "none"),
        ("{{ event['items'] | length }}", "0"),
        ("{% if orders[0].total %}a{% else %}b{% endif %}", "b"),
        ("{{ data.anything.at.all | default('-') }}", "-"),
    ],
)
def test_what_is_missing_is_false_and_empty_and_has_a_default(make: Make, source: str, text: str) -> None:
    lacking = {"id": "c1", "first_name": None, "points_total": None}
    assert sms(make, source, customer=lacking, event={"name": "x"}, orders=[]) == text


@pytest.mark.parametrize(
    "source",
    ["{{ customer.first_name | upper }}", "{{ customer.first_name ~ 'x' }}", "{{ customer.points_total + 1 }}", "{{ customer.points_total | money }}",
     "{{ customer.birthday | date }}", "{{ customer.points_total | number }}", "{{ customer.shop_url | utm }}", "{{ -customer.points_total }}", "{{ orders[0].total }}"],
)  # fmt: skip
def test_working_with_what_is_missing_fails_the_same_way(make: Make, source: str) -> None:
    renderer = make({"x/sms.txt": source})
    assert (
        failed(renderer.render("sms", "x", context(customer={"id": "c1"}, orders=[]))).code == "missing-value"
    )


@pytest.mark.parametrize(
    ("locale", "source", "text"),
    [
        ("de-DE", "{{ event.total | money }}", "19,90 €"),
        ("de-AT", "{{ event.total | money(event.currency) }}", "€ 19,90"),
        ("en-US", "{{ 1234.5 | money('USD') }}", "$1,234.50"),
        ("de-DE", "{{ 1234567.891 | number }}", "1.234.567,891"),
        ("fr", "{{ 1234.5 | number(2) }}", "1\N{NARROW NO-BREAK SPACE}234,50"),
        ("de-DE", "{{ event.at | date }}", "2. März 2026"),
        ("en-US", "{{ event.at | date('short') }}", "3/2/26"),
        ("de-DE", "{{ event.at | date('time') }}", "00:30"),
        ("de-DE", "{{ event.at | date('d. MMMM, HH:mm') }}", "2. März, 00:30"),
        ("de-DE", "{{ customer.birthday | date }}", "17. Mai 1990"),
        ("de-DE", "{{ '2026-07-01T22:30:00Z' | date('medium') }}", "02.07.2026"),
        ("xx-YY", "{{ event.total | money }}", "€19.90"),
    ],
)
def test_values_are_written_in_the_customer_s_language_and_zone(
    make: Make, locale: str, source: str, text: str
) -> None:
    assert sms(make, source, customer=person(locale=locale, timezone="Europe/Berlin")) == text


def test_a_customer_without_a_zone_lives_in_the_workspace_s(make: Make) -> None:
    assert sms(make, "{{ event.at | date('HH:mm') }}", customer=person(timezone=None)) == "00:30"
    assert sms(make, "{{ event.at | date('HH:mm') }}", customer=person(timezone="Mars/Base")) == "23:30"


def test_decimals_and_dates_come_as_they_are(make: Make) -> None:
    event = {"total": Decimal("0.1"), "currency": "EUR", "at": date(2026, 1, 2)}
    assert (
        sms(make, "{{ event.total + 1 }} {{ event.total * 0.5 }} {{ event.at | date }}", event=event)
        == "1.1 0.05 2. Jänner 2026"
    )


def test_utm_names_the_journey_and_the_channel_and_keeps_the_rest(make: Make) -> None:
    source = "{{ 'https://a.example.com/x?b=1&utm_source=old#top' | utm }} {{ customer.shop_url | utm('sale', source='crm', content='top link') }}"
    first, second = sms(make, source).split(" ")
    assert (
        first
        == "https://a.example.com/x?b=1&utm_source=treue&utm_medium=sms&utm_campaign=welcome&utm_content=x#top"
    )
    assert second.endswith("?utm_source=crm&utm_medium=sms&utm_campaign=sale&utm_content=top%20link")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ 'x' | money }}", "wrong-type"), ("{{ 1 | money('EURO') }}", "wrong-type"), ("{{ 'x' | date }}", "wrong-type"),
        ("{{ event['items'] }}", "wrong-type"), ("{{ customer }}", "wrong-type"), ("{{ 'a' > 1 }}", "wrong-type"),
        ("{{ 'a' - 1 }}", "wrong-type"), ("{{ 'a' + 1 }}", "wrong-type"), ("{{ 1 / 0 }}", "wrong-value"),
        ("{% for x in 'abc' %}{% endfor %}", "wrong-type"), ("{{ customer.first_name.x }}", "wrong-type"),
        ("{{ '2026-02-31' | date }}", "wrong-type"), ("{{ 'x' | truncate('y') }}", "wrong-type"),
        ("{% if 0 %}{% set y = 1 %}{% endif %}{{ y }}", "unknown-name"), ("{{ '' }}", "empty"),
    ],
)  # fmt: skip
def test_every_failure_is_a_sentence_with_a_code_and_a_place(make: Make, source: str, code: str) -> None:
    failure = failed(
        make(
            {"x/sms.txt": f"line one{{% if 0 %}}{{% endif %}}\n{source}" if code != "empty" else source}
        ).render("sms", "x", context())
    )
    assert failure.code == code
    assert failure.message.endswith(".")
    assert failure.file == "templates/x/sms.txt"
    if code != "empty":
        assert failure.line == 2


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"customer": None},
        {"customer": {"locale": 5, "timezone": 7}},
        {"customer": {"first_name": object()}},
    ],
)
def test_render_never_raises_whatever_the_context(make: Make, broken: dict[str, Any]) -> None:
    renderer = make(
        {
            "x/email.html": "---\nsubject: {{ customer.first_name }} {{ now | date }}\n---\n<html><body>{{ links.view }}</body></html>"
        }
    )
    assert isinstance(renderer.render("email", "x", broken), RenderFailure)


def test_an_empty_subject_is_no_mail(make: Make) -> None:
    renderer = make(
        {"x/email.html": "---\nsubject: {% if 0 %}x{% endif %}\n---\n<html><body>x</body></html>"}
    )
    failure = failed(renderer.render("email", "x", context()))
    assert failure.code == "empty"
    assert "subject" in failure.message


def test_a_subject_is_one_line_and_nothing_is_escaped_in_text(make: Make) -> None:
    renderer = make(
        {
            "x/email.html": "---\nsubject: |\n  Hi {{ customer.first_name }}\n  & co\n---\n<html><body>{{ customer.first_name }}</body></html>"
        }
    )
    message = rendered(
        renderer.render("email", "x", context(customer=person(first_name="A & <B>\r\nBcc: x")))
    )
    assert message.subject == "Hi A & <B> Bcc: x & co"
    assert message.text.startswith("A & <B>")
    assert "A &amp; &lt;B&gt;" in message.html


def test_the_place_of_a_failure_in_compiled_mjml_is_the_author_s(make: Make) -> None:
    source = (
        "---\nsubject: s\n---\n<mjml><mj-body><mj-section><mj-column>\n<mj-text>a {{ customer.id }} b</mj-text>\n"
        "<mj-text>{% for item in event['items'] %}\n  {{ item.name }} {{ item.price | date }}{% endfor %}</mj-text>\n"
        "</mj-column></mj-section></mj-body></mjml>"
    )
    failure = failed(make({"x/email.mjml": source}).render("email", "x", context()))
    assert (failure.file, failure.line, failure.column) == ("templates/x/email.mjml", 7, 19)


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "no link"])
def test_the_link_of_a_push_is_an_address(make: Make, link: str) -> None:
    renderer = make({"x/push.txt": "---\ntitle: t\nlink: {{ customer.shop_url }}\n---\nx"})
    assert failed(renderer.render("push", "x", context(customer=person(shop_url=link)))).code == "unsafe-link"


def test_now_is_an_argument(make: Make) -> None:
    renderer = make({"x/sms.txt": "{{ now | date('y') }}"})
    assert rendered(renderer.render("sms", "x", context(now=datetime(1999, 5, 5, tzinfo=UTC)))).text == "1999"

"""What `check` finds with made-up customers, before a real one does."""

from __future__ import annotations

from writing import Make

from treue.render.check import check_template
from treue.render.names import Schema
from treue.render.problem import WARNINGS, TemplateProblem
from treue.render.renderer import Renderer

GOOD = """---
subject: Hi {{ customer.first_name | default('you') }}
---
<html><body>
{% if customer.birthday %}{{ customer.birthday | date }}{% endif %}
<a href="{{ customer.shop_url | default('https://example.com') }}">x</a>
{% for item in event['items'] %}<a href="{{ item.url }}">{{ item.name | upper }} {{ item.price | money(event.currency | default('EUR')) }}
{% if item.count > 1 %}{{ item.count * 2 }}{% endif %}{{ item.day | date }}{% for tag in item.tags %}{{ tag.name }}{% endfor %}</a>{% endfor %}
{{ orders | length }} {% for one in orders %}{{ one.total | money }}{% endfor %} {{ data.note }}
</body></html>"""


def found(renderer: Renderer, **more: object) -> list[tuple[str, int, int, str]]:
    problems = check_template(renderer, "x", **more)  # type: ignore[arg-type]
    return [(one.file.rsplit("/", 1)[-1], one.line, one.column, one.code) for one in problems]


def test_a_sound_template_has_no_problem_whatever_its_records_hold(make: Make) -> None:
    assert check_template(make({"x/email.html": GOOD}), "x") == []


def test_without_a_schema_every_name_is_taken(make: Make) -> None:
    assert (
        check_template(make({"x/email.html": GOOD.replace("first_name", "anything")}, schema=None), "x") == []
    )


def test_a_misspelt_attribute_is_found_with_line_column_and_the_word_meant(make: Make) -> None:
    renderer = make(
        {"x/sms.txt": "Hello\nDear {{ customer.frist_name }}", "x/sms.de.txt": "{{ customer.frist_name }}"}
    )
    assert check_template(renderer, "x") == [
        TemplateProblem(
            "templates/x/sms.de.txt",
            1,
            13,
            "T403",
            "'customer' has no 'frist_name'.",
            "Did you mean first_name?",
        ),
        TemplateProblem(
            "templates/x/sms.txt",
            2,
            18,
            "T403",
            "'customer' has no 'frist_name'.",
            "Did you mean first_name?",
        ),
    ]


def test_what_a_customer_may_lack_is_a_warning_for_each_name(make: Make) -> None:
    source = "{{ customer.first_name }}\n{{ customer.points_total | number }} {{ customer.first_name }}\n{{ event.total | money }} {{ orders[0].total }}"
    problems = check_template(make({"x/sms.txt": source}), "x")
    assert [(one.line, one.column, one.code) for one in problems] == [
        (1, 13, "T405"),
        (2, 13, "T405"),
        (3, 10, "T405"),
        (3, 40, "T405"),
    ]
    assert {one.code for one in problems} <= WARNINGS
    assert problems[0].message == "A customer may have no first_name."
    assert (
        problems[0].suggestion
        == "Write {{ customer.first_name | default('…') }} or put it into {% if customer.first_name %}."
    )


def test_the_address_a_message_goes_to_is_always_there(make: Make) -> None:
    renderer = make(
        {
            "x/email.html": "---\nsubject: s\n---\n<html><body>{{ customer.email }}</body></html>",
            "x/sms.txt": "{{ customer.phone }}",
            "x/push.txt": "{{ customer.email }}",
        }
    )
    assert found(renderer) == [("push.txt", 1, 13, "T405")]


def test_a_mail_without_a_subject_is_a_problem(make: Make) -> None:
    renderer = make(
        {
            "x/email.html": "<html><body>x</body></html>",
            "x/email.de.html": "---\nsubject: s\n---\n<html><body>x</body></html>",
        }
    )
    assert found(renderer) == [("email.html", 1, 1, "T406")]


def test_a_property_of_another_event_than_the_journey_s_is_found(make: Make) -> None:
    schema = Schema(
        attributes={}, events={"order.placed": {"total": "number"}, "cart.left": {"cart_id": "text"}}
    )
    renderer = make({"x/sms.txt": "{% if event.total %}{{ event.total }}{% endif %}"}, schema=schema)
    assert found(renderer) == []
    assert found(renderer, events={"cart.left": {"cart_id": "text"}}) == [("sms.txt", 1, 13, "T403")]


def test_a_filter_that_does_not_fit_the_declared_type_is_found(make: Make) -> None:
    renderer = make({"x/sms.txt": "{% if customer.birthday %}{{ customer.birthday | money }}{% endif %}"})
    assert found(renderer) == [("sms.txt", 1, 27, "T404")]


def test_data_that_the_step_gives_is_what_the_template_gets(make: Make) -> None:
    renderer = make({"x/sms.txt": "{{ data.note }}"})
    assert found(renderer) == []
    assert found(renderer, data={"note": "x"}) == []
    assert found(renderer, data={"other": "x"}) == [("sms.txt", 1, 9, "T404")]


def test_all_files_are_checked_at_once(make: Make) -> None:
    renderer = make({
        "x/sms.txt": "{{ custmer.id }}", "x/push.txt": "{{ 1 | mony }}", "x/email.html": "<html><body>{{ customer.first_name }}</body></html>",
        "x/sms.de.txt": "{{ 1 - 'a' }}", "x/sms.fr.txt": "{% if %}",
    })  # fmt: skip
    assert [(one[0], one[3]) for one in found(renderer)] == [
        ("email.html", "T406"), ("email.html", "T405"), ("push.txt", "T403"), ("sms.de.txt", "T404"), ("sms.fr.txt", "T401"),
        ("sms.txt", "T403"),
    ]  # fmt: skip


def test_a_template_that_leaves_some_languages_without_a_message_is_found(make: Make) -> None:
    assert found(make({"x/sms.fr.txt": "Salut"})) == [("x", 1, 1, "T404")]
    assert found(make({"x/sms.fr.txt": "Salut"}, locale="fr-CH")) == []

"""What `check` finds with made-up customers, before a real one does."""

from __future__ import annotations

import pytest

from tests.render.writing import Make
from treue.render.problem import WARNINGS, TemplateProblem
from treue.render.templates.check import check_template
from treue.render.templates.names import NameSchema
from treue.render.templates.renderer import Renderer

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
    schema = NameSchema(
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


def said(renderer: Renderer, **more: object) -> list[tuple[int, int, str, str]]:
    problems = check_template(renderer, "x", **more)  # type: ignore[arg-type]
    return [(one.line, one.column, one.message, one.suggestion) for one in problems]


def test_a_name_without_its_record_is_suggested_with_it(make: Make) -> None:
    names = [
        "first_name",
        "FirstName",
        "contact.first_name",
        "person.frist_name",
        "order.total",
        "postal_address",
        "total",
    ]
    source = "\n".join(f"{{{{ {name} }}}}" for name in names)
    assert [(line, advice) for line, _, _, advice in said(make({"x/sms.txt": source}))] == [
        (1, "Did you mean customer.first_name?"),
        (2, "Did you mean customer.first_name?"),
        (3, "Did you mean customer.first_name?"),
        (4, "Did you mean customer.first_name?"),
        (5, "Did you mean event.total?"),
        (6, "Did you mean sender.postal_address or workspace.postal_address?"),
        (7, "Did you mean event.total?"),
    ]


def test_what_is_opened_and_never_closed_is_told_where_it_was_opened(make: Make) -> None:
    source = "{% if customer.first_name %}\nHi\n{% for one in orders %}{{ one.total }}\n{% endif %}\n{% with a = 1 %}"
    assert said(make({"x/sms.txt": source})) == [
        (3, 1, "{% for one in orders %} is never closed.", "Write {% endfor %} where it ends."),
        (5, 1, "{% with a = 1 %} is never closed.", "Write {% endwith %} where it ends."),
    ]
    assert said(make({"x/sms.txt": "Hi\n{% if customer.first_name %}you"})) == [
        (2, 1, "{% if customer.first_name %} is never closed.", "Write {% endif %} where it ends.")
    ]
    assert said(make({"x/sms.txt": "Hi\n{% endif %}you"})) == [
        (2, 1, "{% endif %} closes nothing.", "Take it out.")
    ]


@pytest.mark.parametrize(
    ("tag", "ours"),
    [
        ("*|FNAME|*", "{{ customer.first_name }}"),
        ("*|UNSUB|*", "{{ links.unsubscribe }}"),
        ("*|LIST:ADDRESS|*", "{{ sender.postal_address }}"),
        ("*|IF:FNAME|*", "{% if … %}"),
        ("%%First Name%%", "{{ customer.first_name }}"),
        ("%%name%%", "{{ customer.… }}"),
        ("[[name]]", "{{ customer.… }}"),
        ("%FIRSTNAME%", "{{ customer.first_name }}"),
        ("%recipient.email%", "{{ customer.email }}"),
        ("<%= first_name %>", "{{ customer.first_name }}"),
        ("${first_name}", "{{ customer.first_name }}"),
        ("{$name}", "{{ customer.… }}"),
        ("{contactfield=firstname}", "{{ customer.first_name }}"),
        ("{ customer.first_name }", "{{ customer.first_name }}"),
        ("{first_name}", "{{ customer.first_name }}"),
    ],
)  # fmt: skip
def test_another_tools_merge_tag_is_an_error_with_our_form(make: Make, tag: str, ours: str) -> None:
    html = f'---\nsubject: "Hi {tag}"\n---\n<html><body>\n<p>Dear {tag}</p></body></html>'
    renderer = make({"x/email.html": html, "x/sms.txt": f"\nDear {tag}"})
    found = said(renderer)
    assert [(line, column) for line, column, _, _ in found] == [(2, 14), (5, 9), (2, 6)]
    assert all(message.startswith(f"{tag} is a merge tag of another tool") for _, _, message, _ in found)
    assert all(ours in advice for _, _, _, advice in found)
    assert renderer.sound("x") == ()


def test_what_only_looks_like_a_merge_tag_is_text(make: Make) -> None:
    fine = "100%sicher%toll 10% of 20% [x] [1] {a: b} *|* | a%CE%BB%C3%A4 $5 {{ '[[name]]' }} %% 50%_off_%"
    css = "<style>@media x{a{color:red}} p{}</style>"
    renderer = make(
        {
            "x/sms.txt": fine,
            "x/email.html": f"---\nsubject: x\n---\n<html><head>{css}</head><body>{fine}</body></html>",
        }
    )
    assert said(renderer) == []


@pytest.mark.parametrize(
    "address",
    ["event.url | utm", "event.url | trim | utm(campaign='x')", "event.url ~ '?a=1'", "event.url | default('https://a.example') | utm", "event.url[:20]"],
)  # fmt: skip
def test_a_sample_value_in_the_place_of_an_address_is_one(make: Make, address: str) -> None:
    schema = NameSchema({}, {"order.placed": {"url": "text"}})
    source = f'---\nsubject: x\n---\n<html><body><a href="{{{{ {address} }}}}">x</a></body></html>'
    assert [
        one
        for one in check_template(make({"x/email.html": source}, schema=schema), "x")
        if one.code != "T405"
    ] == []


def test_what_is_required_of_a_customer_or_an_event_needs_no_default(make: Make) -> None:
    schema = NameSchema(
        {"first_name": "text", "points": "number"},
        {"order.placed": {"total": "number"}, "cart.left": {"total": "number"}},
        required=frozenset({"first_name"}),
        required_of={"order.placed": frozenset({"total"})},
    )
    renderer = make(
        {"x/sms.txt": "{{ customer.first_name }} {{ event.total }}\n{{ customer.points }}"}, schema=schema
    )
    assert found(renderer, events={"order.placed": {"total": "number"}}) == [("sms.txt", 2, 13, "T405")]
    both = {name: {"total": "number"} for name in ("order.placed", "cart.left")}
    assert found(renderer, events=both) == [("sms.txt", 1, 36, "T405"), ("sms.txt", 2, 13, "T405")]


def test_front_matter_that_cannot_be_read_is_not_said_to_lack_the_subject_in_it(make: Make) -> None:
    renderer = make(
        {"x/email.html": "---\nsubject: Spring: ten records\n---\n<html><body>Hello</body></html>"}
    )
    assert found(renderer) == [("email.html", 2, 16, "T402")]

"""Files to messages: front matter, layout, locales, MJML and HTML compiled once, the text part derived."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.render.writing import Make, context, failed, rendered
from treue.render.sandbox import confinement
from treue.render.templates.renderer import Renderer

LAYOUT = """---
from: "{{ sender.name }} <{{ sender.email }}>"
category: relational
---
<mjml>
  <mj-body>
    {{ content }}
    <mj-section><mj-column><mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text></mj-column></mj-section>
  </mj-body>
</mjml>
"""
BODY = """---
subject: Your order, {{ customer.first_name }}
preheader: "{{ event['items'] | length }} things"
---
<!-- a note {{ to_nobody }} -->
<mj-section>
  {% for item in event['items'] %}
  <mj-column>
    <mj-text>{{ item.name }}{% if item.price > 1000 %} <b>(precious)</b>{% endif %}: {{ item.price | money }}</mj-text>
    <mj-button href="{{ item.url }}">Buy {{ item.name }}</mj-button>
  </mj-column>
  {% endfor %}
</mj-section>
{% if customer.points_total < 100 %}
<mj-section><mj-column><mj-text>Few points</mj-text></mj-column></mj-section>
{% else %}
<mj-section><mj-column>
  <mj-raw>{% for n in range(2) %}<tr><td>raw {{ n }}</td></tr>{% endfor %}</mj-raw>
  <mj-table>{% for one in orders %}<tr><td>{{ loop.index }}</td><td>{{ one.total }}</td></tr>{% endfor %}</mj-table>
</mj-column></mj-section>
{% endif %}
"""
VOID = {"meta", "link", "img", "br", "hr", "input", "col", "v:image", "v:fill", "o:allowpng"}


class Balance(HTMLParser):
    """Whether every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """An element that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, tag
        assert self.stack.pop() == tag


def balanced(html: str) -> bool:
    parser = Balance()
    parser.feed(re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL))
    outlook = Balance()
    outlook.feed(
        re.sub(
            r"<!--\[if mso[^\]]*\]>(?!<!-->)|<!\[endif\]-->|<!--\[if !mso[^>]*>(<!-->)?|<!--|-->", "", html
        )
    )
    return not parser.stack and not outlook.stack


def test_mjml_with_loops_and_conditions_is_compiled_and_stays_balanced(make: Make) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "order/email.mjml": BODY})
    assert renderer.problems("order") == ()
    message = rendered(renderer.render("email", "order", context()))
    html = message.html
    assert html.count("Buy ") == 2
    assert "Tee &amp; Kekse: €\N{NO-BREAK SPACE}4,50" in html
    assert html.count("(precious)") == 1
    assert html.count("raw ") == 2
    assert "Few points" not in html
    assert re.findall(r"<td>(\d)</td><td>(\d+)</td>", html) == [("1", "30"), ("2", "20")]
    assert 'href="https://shop.example.com/2"' in html
    assert balanced(html)
    assert "qtz" not in html
    assert "to_nobody" not in html


def test_the_other_branch_is_balanced_too(make: Make) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "order/email.mjml": BODY})
    customer = context()["customer"] | {"points_total": 5}
    html = rendered(renderer.render("email", "order", context(customer=customer, event={"items": []}))).html
    assert "Few points" in html
    assert "Buy" not in html
    assert balanced(html)


@pytest.mark.parametrize(
    "body",
    [
        "<mj-wrapper>{% for n in range(3) %}<mj-section><mj-column><mj-text>n{{ n }}</mj-text></mj-column></mj-section>{% endfor %}</mj-wrapper>",
        "<mj-section>{% for n in range(3) %}<mj-group><mj-column><mj-text>n{{ n }}</mj-text></mj-column></mj-group>{% endfor %}</mj-section>",
        "<mj-hero>{% for n in range(3) %}<mj-text>n{{ n }}</mj-text>{% endfor %}</mj-hero>",
        "<mj-section><mj-column><mj-social>{% for n in range(3) %}<mj-social-element name='web' href='https://example.com/n{{ n }}'>s</mj-social-element>{% endfor %}</mj-social></mj-column></mj-section>",
        "<mj-section><mj-column><mj-navbar>{% for n in range(3) %}<mj-navbar-link href='https://example.com/n{{ n }}'>s</mj-navbar-link>{% endfor %}</mj-navbar></mj-column></mj-section>",
        "<mj-section><mj-column><mj-text>{% for n in range(3) %}<p class='{% if n > 1 %}a{% else %}b{% endif %}'>n{{ n }}</p>{% endfor %}</mj-text></mj-column></mj-section>",
        "<mj-section><mj-column><mj-text>{% for n in range(3) %}n{{ n }}und{% endfor %} {% if 1 < 2 and 'a>b' %}ok{% endif %}</mj-text></mj-column></mj-section>",
    ],
)
def test_a_loop_works_wherever_mjml_lets_components_stand(make: Make, body: str) -> None:
    renderer = make({"x/email.mjml": f"---\nsubject: s\n---\n<mjml><mj-body>{body}</mj-body></mjml>"})
    assert renderer.problems("x") == ()
    html = rendered(renderer.render("email", "x", context())).html
    assert [n for n in range(4) if f"n{n}" in html] == [0, 1, 2]
    assert balanced(html)


def test_the_text_part_follows_the_html(make: Make) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "order/email.mjml": BODY})
    text = rendered(renderer.render("email", "order", context())).text
    lines = [line for line in text.replace("\N{NO-BREAK SPACE}", " ").split("\n") if line]
    assert lines[0] == "Tee & Kekse: € 4,50"
    assert "Buy Tee & Kekse (https://shop.example.com/1)" in lines
    assert "Kaffee (precious): € 1.234,50" in lines
    assert [line for line in lines if line.startswith("raw")] == ["raw 0", "raw 1"]
    assert lines[-1] == "Unsubscribe (https://u.example.com/u/abc)"
    assert "\n\n\n" not in text
    assert "2 things" not in text


def test_the_derived_text_says_what_people_see_and_no_more(make: Make) -> None:
    body = """<div style="max-height: 0; overflow: hidden">unseen</div><p style="opacity:0.9">seen</p>
    <a href="https://shop.example.com/sale"><img src="https://cdn.example.com/s.png" alt="Sale: 20 %"></a>
    <img src="https://cdn.example.com/line.png" alt=""><img src="https://cdn.example.com/dot.png">
    <ul><li>one {{ 1 }}</li>{% for n in range(2) %}<li>{{ n }}</li>{% endfor %}</ul><p>after</p>
    <p>
      {% if customer.points_total > 1000 %}rich{% endif %}
      {% if customer.first_name %}
      {{ customer.first_name }}
      {% endif %}
    </p>"""
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>{body}</body></html>"})
    assert rendered(renderer.render("email", "x", context())).text.split("\n") == [
        "seen", "", "Sale: 20 % (https://shop.example.com/sale)", "", "* one 1", "", "* 0", "", "* 1", "", "after", "",
        "Ada",
    ]  # fmt: skip


def test_a_text_file_of_one_s_own_goes_before_the_derived_text(make: Make) -> None:
    renderer = make({
        "_layout/email.mjml": LAYOUT, "order/email.mjml": BODY,
        "order/email.txt": "Hi\n{% if customer.first_name %}\n{{ customer.first_name }}\n{% endif %}\n{# note #}Bye <x> {{ '&' }}\n",
    })  # fmt: skip
    message = rendered(renderer.render("email", "order", context()))
    assert message.text == "Hi\nAda\nBye <x> &"
    assert "Buy" in message.html


def test_a_text_in_another_language_than_the_html_is_not_used(make: Make) -> None:
    page = "---\nsubject: {}\n---\n<html><body><p>{}</p></body></html>"
    renderer = make({
        "x/email.html": page.format("Hello", "English"), "x/email.txt": "English by hand",
        "x/email.de.html": page.format("Hallo", "Deutsch"),
    })  # fmt: skip
    assert rendered(renderer.render("email", "x", context(), "de")).text == "Deutsch"
    assert rendered(renderer.render("email", "x", context(), "en")).text == "English by hand"


def test_css_moves_into_the_elements_and_jinja_survives_it(make: Make) -> None:
    source = """---
subject: s
---
<!DOCTYPE html><html><head><style>td.a { color: red } @media (max-width: 1px) { td { color: blue } }</style></head>
<body><table>{% for n in range(3) %}{% if n < 2 and '>' != '<' %}<tr><td class="a">{{ n }}</td></tr>{% endif %}{% endfor %}</table></body></html>"""
    html = rendered(make({"x/email.html": source}).render("email", "x", context())).html
    assert re.findall(r'<td class="a" style="color: ?red;?">(\d)</td>', html) == ["0", "1"]
    assert "@media" in html


def test_mjml_s_inline_styles_move_into_the_elements_and_the_others_stay(make: Make) -> None:
    source = """---
subject: s
---
<mjml><mj-head>
<mj-style inline="inline">p { margin: 0 0 9px } .a b { color: #010203 } a { color: #0a0b0c }</mj-style>
<mj-style>@media (max-width: 1px) { p { color: blue } }</mj-style>
</mj-head><mj-body><mj-section><mj-column>
<mj-text css-class="a">{% for n in range(2) %}<p>{% if n < 1 %}<b>{{ n }}</b>{% endif %}</p>{% endfor %}</mj-text>
<mj-button href="https://shop.example.com" color="#ffffff">Buy</mj-button>
</mj-column></mj-section></mj-body></mjml>"""
    renderer = make({"x/email.mjml": source})
    assert renderer.problems("x") == ()
    html = rendered(renderer.render("email", "x", context())).html
    assert html.count('<p style="margin: 0 0 9px;">') == 2
    assert '<b style="color: #010203;">0</b>' in html
    assert "color: #ffffff" in html.split("Buy")[0].rsplit("<a", 1)[1]
    assert "#0a0b0c" not in html
    assert "@media (max-width: 1px) { p { color: blue } }" in html
    assert html.count("<!--[if") == html.count("<![endif]-->")
    assert balanced(html)


def test_front_matter_gives_the_fields_of_each_channel(make: Make) -> None:
    renderer = make({
        "_layout/email.mjml": LAYOUT, "order/email.mjml": BODY,
        "order/push.txt": "---\ntitle: {{ customer.first_name }}, look\nlink: shop://orders/1\ncategory: transactional\n---\nNew things",
        "order/sms.txt": "Hi {{ customer.first_name }}",
    })  # fmt: skip
    mail = rendered(renderer.render("email", "order", context()))
    assert (mail.subject, mail.preheader) == ("Your order, Ada", "2 things")
    assert (mail.from_name, mail.from_address) == ("Laden", "hallo@laden.example.com")
    push = rendered(renderer.render("push", "order", context()))
    assert (push.title, push.link, push.text) == ("Ada, look", "shop://orders/1", "New things")
    assert rendered(renderer.render("sms", "order", context())).text == "Hi Ada"
    assert [renderer.category("order", one) for one in ("email", "push", "sms")] == [
        "relational",
        "transactional",
        "",
    ]
    assert sorted(renderer.channels("order")) == ["email", "push", "sms"]


def test_a_preheader_that_no_one_prints_is_put_first_in_the_body_unseen(make: Make) -> None:
    renderer = make(
        {
            "x/email.html": "---\nsubject: s\npreheader: A & {{ customer.first_name }}\n---\n<html><body><p>B</p></body></html>"
        }
    )
    message = rendered(renderer.render("email", "x", context()))
    assert re.search(r"<body><div style=\"display:none[^\"]*\">A &amp; Ada</div><p>B</p>", message.html)
    assert message.text == "B"


@pytest.mark.parametrize(
    ("customer", "greeting"),
    [
        ("de-AT", "Servus"),
        ("de_AT", "Servus"),
        ("de-CH", "Hallo"),
        ("de", "Hallo"),
        ("en-GB", "Hello"),
        ("fr", "Hello"),
        ("", "Hello"),
    ],
)
def test_the_nearest_locale_is_taken(make: Make, customer: str, greeting: str) -> None:
    renderer = make({"x/sms.txt": "Hello", "x/sms.de.txt": "Hallo", "x/sms.de-AT.txt": "Servus"})
    person = context()["customer"] | {"locale": customer}
    assert rendered(renderer.render("sms", "x", context(customer=person))).text == greeting


def test_a_locale_without_its_own_html_takes_the_nearest_as_a_whole(make: Make) -> None:
    page = "---\nsubject: {0}\npreheader: {0} first\n---\n<html><body><p>{0}</p></body></html>"
    renderer = make(
        {"x/email.html": page.format("Hello"), "x/email.de.html": page.format("Hallo")}, locale="de"
    )
    for locale, word in (("de-AT", "Hallo"), ("de", "Hallo"), ("fr-CH", "Hello"), ("en", "Hello")):
        message = rendered(renderer.render("email", "x", context(), locale))
        assert (message.subject, message.preheader, message.text) == (word, f"{word} first", word)


def test_without_a_file_for_everyone_the_workspace_s_language_serves(make: Make) -> None:
    renderer = make({"x/sms.de.txt": "Hallo", "x/sms.fr.txt": "Salut"}, locale="de-DE")
    assert rendered(renderer.render("sms", "x", context(), "it")).text == "Hallo"


def test_where_no_language_fits_the_failure_names_it(make: Make) -> None:
    failure = failed(make({"x/sms.fr.txt": "Salut"}).render("sms", "x", context(), "it"))
    assert failure.code == "no-variant"
    assert "'it'" in failure.message


def test_a_layout_in_the_customer_s_language_is_taken(make: Make) -> None:
    renderer = make({
        "_layout/email.mjml": LAYOUT, "_layout/email.de.mjml": LAYOUT.replace("Unsubscribe", "Abmelden"),
        "order/email.mjml": BODY, "order/email.de.mjml": BODY.replace("Buy", "Kaufen"),
    })  # fmt: skip
    german = rendered(renderer.render("email", "order", context(), "de")).html
    assert "Abmelden" in german
    assert '<html lang="de"' in german
    assert "Unsubscribe" in rendered(renderer.render("email", "order", context(), "en")).html


def test_a_source_that_brings_its_own_page_needs_no_layout(make: Make) -> None:
    source = "---\nsubject: s\n---\n<mjml><mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": source})
    assert "Unsubscribe" not in rendered(renderer.render("email", "x", context())).html


def places(renderer: Renderer, name: str = "x") -> list[tuple[str, int, int, str]]:
    return [(one.file.rsplit("/", 1)[-1], one.line, one.column, one.code) for one in renderer.problems(name)]


def test_all_problems_of_all_files_come_at_once_with_their_places(make: Make) -> None:
    renderer = make({
        "x/email.mjml": "---\nsubject: a\nsubjekt: b\ncategory: relatonal\n---\n<mjml><mj-body>\n<mj-section><mj-colum>{{ x }}</mj-colum></mj-section>\n</mj-body></mjml>",
        "x/sms.txt": "Hi {{ customer.first_name }\n{{ 1 + }} and {{ custmer.id }}",
        "x/sms.de.txt": "{{ 1 + }}\n  {{ customer.first_name | uper }} {{ ) }}",
        "x/push.txt": "{% if 1 %}x",
    })  # fmt: skip
    assert places(renderer) == [
        ("email.mjml", 3, 1, "T402"),
        ("email.mjml", 4, 11, "T402"),
        ("email.mjml", 7, 13, "T401"),
        ("email.mjml", 7, 30, "T401"),
        ("push.txt", 1, 1, "T401"),
        ("sms.de.txt", 1, 1, "T401"),
        ("sms.de.txt", 2, 36, "T401"),
        ("sms.txt", 1, 4, "T401"),
    ]
    assert "Did you mean mj-column?" in [one.suggestion for one in renderer.problems("x")]
    assert "Did you mean relational?" in [one.suggestion for one in renderer.problems("x")]


def test_a_misspelt_name_is_found_in_line_and_column_of_the_source_that_was_compiled(make: Make) -> None:
    body = BODY.replace("{{ item.name }}{%", "{{ itm.name }}{%").replace(
        "customer.points_total", "customer.pionts_total"
    )
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": body})
    problems = renderer.problems("x")
    assert places(renderer) == [("email.mjml", 9, 17, "T403"), ("email.mjml", 14, 16, "T403")]
    assert [one.suggestion for one in problems] == ["Did you mean item?", "Did you mean points_total?"]


def test_a_mistake_in_the_layout_is_shown_in_the_layout(make: Make) -> None:
    renderer = make(
        {"_layout/email.mjml": LAYOUT.replace("links.unsubscribe", "links.unsubscrib"), "x/email.mjml": BODY}
    )
    assert [(one.file, one.line, one.column) for one in renderer.problems("x")] == [
        ("templates/_layout/email.mjml", 8, 55)
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<mj-section><mj-column><mj-txt>x</mj-txt></mj-column></mj-section>", "no element <mj-txt>"),
        ("<mj-section><mj-column><mj-text>x</mj-column></mj-section>", "stands where </mj-text> is due"),
        ("<mj-section><mj-column>", "<mj-column> is never closed"),
        ("</mj-section>", "closes nothing"),
        ("<mj-section>{{ customer.first_name }}</mj-section>", "has no text of its own"),
        (
            "<mj-section><mj-column><mj-text><b {% if 1 %}class='x'{% endif %}>x</b></mj-text></mj-column></mj-section>",
            "among the attributes",
        ),
        ("{% raw %}x{% endraw %}", "raw"),
    ],
)
def test_what_mjml_would_swallow_is_reported(make: Make, source: str, words: str) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": f"---\nsubject: s\n---\n{source}"})
    assert any(words in one.message for one in renderer.problems("x")), renderer.problems("x")


def test_front_matter_that_is_no_yaml_names_its_line(make: Make) -> None:
    renderer = make(
        {
            "x/sms.txt": "---\ntitle: a: b\n---\nx",
            "y/sms.txt": "---\ntitle: [a]\n---\nx",
            "z/sms.txt": "---\nlink: a\nlink: b\n---\nx",
        }
    )
    assert places(renderer, "x")[0][1:] == (2, 9, "T402")
    assert places(renderer, "y") == [("sms.txt", 2, 1, "T402")]
    assert places(renderer, "z") == [("sms.txt", 3, 1, "T402")]


def test_words_that_look_like_other_types_stay_text_in_front_matter(make: Make) -> None:
    for value in ("no", "08:00", "1.10", "010", "null"):
        renderer = make({f"v{value.replace(':', '')}/push.txt": f"---\ntitle: {value}\n---\nx"})
        assert rendered(renderer.render("push", f"v{value.replace(':', '')}", context())).title == value


@pytest.mark.parametrize("name", ["points", "tier", "voucher('x')", "survey('nps')", "recommend(4)"])
def test_a_name_of_a_later_version_says_so(make: Make, name: str) -> None:
    renderer = make({"x/sms.txt": f"{{{{ {name} }}}}"})
    (problem,) = renderer.problems("x")
    assert problem.code == "T211"
    assert "comes with a later version of Treue" in problem.message


def test_unused_folders_and_misnamed_files_are_told_apart(make: Make) -> None:
    renderer = make({"x/sms.txt": "x", "x/mail.mjml": "x"})
    assert places(renderer) == [("mail.mjml", 1, 1, "T401")]
    assert failed(renderer.render("sms", "nothing", context())).code == "unknown-template"
    assert failed(renderer.render("email", "x", context())).code == "no-variant"


CATEGORIES = {
    "_layout/email.mjml": LAYOUT,
    "_layout/email.de.mjml": LAYOUT.replace("relational", "transactional"),
    "_layout/bare.html": "<html><body>{{ content }}</body></html>",
    "layout/email.mjml": "<mj-section/>",
    "german/email.de.mjml": "<mj-section/>",
    "whole/email.html": "<html><body>category</body></html>",
    "bare/email.html": "---\nlayout: bare\n---\n<p>category</p>",
    "lost/email.html": "---\nlayout: gone\n---\n<p>category</p>",
    "inherits/email.mjml": "---\ncategory: promotional\n---\n<mj-section/>",
    "inherits/email.de.mjml": "<mj-section/>",
    "text/email.txt": "---\ncategory: promotional\n---\nx",
    "text/email.de.mjml": "---\ncategory: transactional\n---\n<mj-section/>",
    "own-text/email.mjml": "---\ncategory: promotional\n---\n<mj-section/>",
    "own-text/email.txt": "---\ncategory: transactional\n---\nx",
    "channels/email.txt": "---\nsubject: category\n---\nx",
    "channels/sms.txt": "---\ncategory: transactional\n---\nx",
    "channels/push.de.txt": "---\ncategory: promotional\n---\nx",
    "broken/email.mjml": "---\ncategory: promotional\nsubjekt: x\n---\n<mj-colum>",
    "wrong/sms.html": "---\ncategory: promotional\n---\n<p>x</p>",
    "misspelt/sms.txt": "---\ncategory: promotonal\n---\nx",
}


@pytest.mark.parametrize("name", sorted({path.split("/")[0] for path in CATEGORIES} - {"_layout"}))
def test_a_category_is_the_same_before_a_template_is_compiled(
    make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    renderer = make(CATEGORIES, locale="de")
    with monkeypatch.context() as patch:
        patch.setattr(confinement, "compile_markup", lambda *_: pytest.fail("nothing is compiled for it"))
        before = [renderer.category(name, channel) for channel in ("email", "sms", "push")]
    renderer.problems(name)
    assert before == [renderer.category(name, channel) for channel in ("email", "sms", "push")]


def test_a_changed_file_is_compiled_anew_and_an_unchanged_one_is_not(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": BODY, "y/sms.txt": "one"})
    calls: list[str] = []
    monkeypatch.setattr(
        confinement, "compile_markup", lambda source, form: calls.append(source) or "<html></html>"
    )
    first = renderer.version("x"), renderer.version("y")
    for _ in range(50):
        renderer.render("email", "x", context())
    (tmp_path / "y/sms.txt").write_text("two")
    renderer.refresh()
    assert rendered(renderer.render("sms", "y", context())).text == "two"
    assert renderer.version("x") == first[0]
    assert renderer.version("y") != first[1]
    assert len(calls) <= 1


def test_names_used_tell_what_the_engine_must_fetch(make: Make) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": BODY, "x/sms.txt": "Hi"})
    used = renderer.names_used("x", "email")
    assert {
        "orders",
        "customer.first_name",
        "event.items",
        "links.unsubscribe",
        "customer.points_total",
    } <= used
    assert renderer.names_used("x", "sms") == frozenset()


def test_no_web_font_and_nothing_else_is_loaded_from_strangers(make: Make) -> None:
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": BODY})
    html = rendered(renderer.render("email", "x", context())).html
    assert set(re.findall(r"https?://([^/\"]+)", html)) <= {"www.w3.org", "shop.example.com", "u.example.com"}


def test_an_include_of_a_local_file_reads_nothing(make: Make, tmp_path: Path) -> None:
    (tmp_path / "secret.mjml").write_text("<mj-text>secret</mj-text>")
    renderer = make(
        {
            "x/email.mjml": f'---\nsubject: s\n---\n<mjml><mj-body><mj-include path="file://{tmp_path}/secret.mjml" /></mj-body></mjml>'
        }
    )
    assert renderer.problems("x")
    assert failed(renderer.render("email", "x", context())).code == "broken-template"


@pytest.mark.parametrize(
    ("markup", "where", "column"),
    [
        ("<p {{ customer.first_name }}>x</p>", "among the attributes", 4),
        ("<p/{{ customer.first_name }}>x</p>", "among the attributes", 4),
        ("<p{{ customer.first_name }}>x</p>", "among the attributes", 3),
        ("<{{ customer.first_name }}>x", "among the attributes", 2),
        ("</{{ customer.first_name }}>x", "among the attributes", 3),
        ("<p title=it's {{ customer.first_name }}>x</p>", "among the attributes", 15),
        ("<p title=\"a\"{{ customer.first_name }}>x</p>", "among the attributes", 13),
        ("<p style={{ customer.first_name }}>x</p>", "in a style", 10),
        ("<p style = a{{ customer.first_name }}>x</p>", "in a style", 13),
        ('<p style="color: {{ customer.first_name }}">x</p>', "in a style", 18),
        ("<p STYLE='color: {{ customer.first_name }}'>x</p>", "in a style", 18),
        ("<style>p { color: {{ customer.first_name }} }</style>", "in <style>", 19),
        ('<img alt="" srcset="{{ customer.first_name }} 2x">', "in srcset", 21),
        ('<p onclick="x({{ customer.first_name }})">x</p>', "in onclick", 15),
        ('<svg><a href="{{ customer.first_name }}"><text>x</text></a></svg>', "in <svg>", 15),
        ("<svg><g><svg/></g><text>{{ customer.first_name }}</text></svg>", "in <svg>", 25),
        ('<object data="{{ customer.first_name }}"></object>', "in <object>", 15),
        ('<meta http-equiv="x" content="{{ customer.first_name }}">', "in <meta>", 31),
        ('<!--[if mso]><p style="color: {{ customer.first_name }}">x</p><![endif]-->', "in a style", 31),
    ],
)  # fmt: skip
def test_a_value_that_escaping_does_not_tame_is_refused_where_it_stands(
    make: Make, markup: str, where: str, column: int
) -> None:
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>\n{markup}</body></html>"})
    found = [one for one in renderer.problems("x") if "{{ customer.first_name }} stands" in one.message]
    assert [(one.line, one.column, one.code) for one in found] == [(5, column, "T401")]
    assert where in found[0].message
    assert found[0].suggestion
    assert renderer.sound("x") == ()


@pytest.mark.parametrize(
    "markup",
    [
        '<p title="{{ customer.first_name }}" class=\'{{ customer.first_name }}\'>{{ customer.first_name }}</p>',
        "<title>{{ customer.first_name }}</title> 1 < 2 {{ customer.first_name }} <b>it's</b>",
        '<svg viewBox="0 0 1 1"/><p>{{ customer.first_name }}</p>',
        '<svg><svg></svg></svg><p>{{ customer.first_name }}</p>',
        '<p style="{% if customer.first_name %}color: red{% endif %}">x</p>',
        '<!--[if mso]><a href="https://a.example/{{ customer.first_name }}">x</a><![endif]-->{{ customer.first_name }}',
        '<!--[if !mso]><!--><p>{{ customer.first_name }}</p><!--<![endif]-->',
    ],
)  # fmt: skip
def test_a_value_in_text_and_in_quotes_is_fine(make: Make, markup: str) -> None:
    renderer = make({"x/email.html": f"---\nsubject: s\n---\n<html><body>\n{markup}</body></html>"})
    assert renderer.problems("x") == ()


def test_a_value_that_mjml_makes_css_of_is_refused_where_it_stands(make: Make) -> None:
    body = '<mj-section><mj-column>\n<mj-text color="{{ customer.first_name }}">x</mj-text></mj-column></mj-section>'
    renderer = make({"_layout/email.mjml": LAYOUT, "x/email.mjml": f"---\nsubject: s\n---\n{body}"})
    assert [(one.line, one.column, one.message) for one in renderer.problems("x")] == [
        (5, 17, "{{ customer.first_name }} stands in a style, where a value could load or hide anything.")
    ]
    assert renderer.sound("x") == ()


@pytest.mark.parametrize(
    "address",
    [
        "{% for one in event['items'] %}https://a.example/{% endfor %}{{ customer.first_name }}",
        "{% for one in event['items'] %}https://a.example/{% else %}{% endfor %}{{ customer.first_name }}",
        "{% if customer.birthday %}{% for one in orders %}https://a.example/{% endfor %}{% endif %}{{ customer.first_name }}",
    ],
)
def test_the_guard_of_addresses_holds_also_after_a_loop_that_may_be_empty(make: Make, address: str) -> None:
    html = f'---\nsubject: s\n---\n<html><body><a href="{address}">x</a></body></html>'
    renderer = make({"x/email.html": html})
    given = context()
    given["customer"]["first_name"] = "javascript:alert(1)"
    given["event"]["items"], given["orders"] = [], []
    assert failed(renderer.render("email", "x", given)).code == "unsafe-link"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "loop"])
@pytest.mark.parametrize("name", ["sms.txt", "email.html", "email.mjml"])
def test_what_is_no_file_is_a_problem_of_its_template_and_costs_its_own_message(
    make: Make, kind: str, name: str
) -> None:
    renderer = make({"x/push.txt": "Hi"})
    path = renderer.templates / "x" / name
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else name)
    (problem,) = [one for one in renderer.problems("x") if "cannot be read" in one.message]
    assert (problem.file, problem.line) == (f"templates/x/{name}", 1)
    assert failed(renderer.render(name.split(".")[0], "x", context())).code == "broken-template"
    assert rendered(renderer.render("push", "x", context())).text == "Hi"
    assert renderer.category("x", "push") == ""


def test_a_file_of_terabytes_is_not_read_to_its_end(make: Make) -> None:
    renderer = make({"x/push.txt": "Hi"})
    path = renderer.templates / "x" / "sms.txt"
    with path.open("wb") as file:
        file.truncate(2**42)
    assert [one.message for one in renderer.problems("x")] == ["This file is longer than 256 kB."]
    assert rendered(renderer.render("push", "x", context())).text == "Hi"

"""The rules about mails: each finds what it should, where it stands, and nothing in mails that are well made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from treue.language.problems import Problem
from treue.lint import RULES, LintInput, findings
from treue.lint.client_support import NotShown
from treue.lint.clients import __main__ as making
from treue.lint.clients import features
from treue.lint.mail_files import read_mail_file
from treue.lint.rule import Rule
from treue.render.templates.enclosures import pictures
from treue.render.templates.markup import without_comments
from treue.render.templates.workspace_check import workspace_renderer
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

JOURNEY = """\
description: An example.
category: {category}
basis: consent
enter: {{event: order.placed}}
exit: [{{event: consent.withdrawn}}]
steps: [{{send: mail, on: email}}]
"""
FOOT = '<a href="{{ links.unsubscribe }}">Out</a> {{ sender.postal_address }}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The reference workspace's settings and layout, with one journey that sends one mail."""
    source = reference_workspace()
    shutil.copytree(source / "templates" / "_layout", tmp_path / "templates" / "_layout")
    shutil.copy(source / "treue.yaml", tmp_path)
    for folder in ("journeys", "segments", "templates/mail"):
        (tmp_path / folder).mkdir()
    (tmp_path / "journeys" / "example.yaml").write_text(JOURNEY.format(category="promotional"))
    return tmp_path


def found(root: Path, source: str, name: str = "email.mjml") -> list[Problem]:
    """What the rules about mails say of one; it begins with its front matter, or has an ordinary one."""
    front = "" if source.startswith("---") else "---\nsubject: s\npreheader: p\n---\n"
    (root / "templates" / "mail" / name).write_text(front + source, encoding="utf-8")
    workspace = load(root)
    assert [one for one in workspace.problems if not one.is_warning] == []
    renderer = workspace_renderer(workspace)
    assert renderer.problems("mail") == ()
    return [one for one in findings(LintInput(workspace, renderer), None) if one.code.startswith("T6")]


def places(problems: list[Problem]) -> list[tuple[str, int, int, int]]:
    return [(one.code, one.place.line, one.place.column, one.place.length) for one in problems]


def page(body: str) -> str:
    """A whole HTML page, five lines of it before the body."""
    return f"---\nsubject: s\npreheader: p\n---\n<html><body>\n{body}\n<p>{FOOT}</p></body></html>"


@pytest.mark.parametrize(
    "rule", [one for one in RULES if one.wrong and "T6" < one.code < "T615"], ids=lambda one: one.code
)
def test_a_rule_finds_its_own_example_and_not_the_one_it_calls_right(rule: Rule, root: Path) -> None:
    section = "\n<mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section>"
    filled = {text: text + section if text.startswith("---") else text for text in (rule.wrong, rule.right)}
    assert rule.code in [one.code for one in found(root, filled[rule.wrong])]
    assert rule.code not in [one.code for one in found(root, filled[rule.right])]


def test_the_reference_workspace_s_mails_are_clean() -> None:
    workspace = load(reference_workspace())
    said = findings(LintInput(workspace, workspace_renderer(workspace)), None)
    assert [one for one in said if one.code.startswith("T6")] == []


# --- what clients show ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said", "column"),
    [
        ('<p style="color: red; display:flex">x</p>', "display:flex", 23),
        ("<p style='margin-inline: 1px'>x</p>", "margin-inline", 11),
        ('<p style="width: calc(100% - 1px)">x</p>', "calc", 18),
        ('<p style="padding: 2px 1.5rem">x</p>', "rem", 27),
        ('<p style="color: var(--ink)">x</p>', "var", 18),
        ("<form action='https://shop.example'><p>x</p></form>", "<form>", 1),
        ("<video src='https://shop.example/v.mp4'></video>", "<video>", 1),
        ("<p hidden>x</p>", "hidden", 1),
        ('<img src="https://shop.example/a.webp?v=1" alt="" width="9">', ".webp", 11),
        ('<img src="data:image/png;base64,eA==" alt="" width="9">', "data:", 11),
    ],
)
def test_what_clients_cannot_show_is_found_where_it_stands(
    root: Path, body: str, said: str, column: int
) -> None:
    (problem,) = [one for one in found(root, page(body), "email.html") if one.code == "T601"]
    assert f"do not show `{said}`" in problem.message
    assert (problem.place.line, problem.place.column, problem.place.length) == (6, column, len(said))
    assert problem.suggestion is not None
    assert problem.suggestion.startswith("See https://www.caniemail.com/features/")


def test_a_style_sheet_is_looked_at_too_and_each_feature_said_once(root: Path) -> None:
    head = "<style>\n.a { display: grid; }\n.b{display:grid}\n.c::before { content: 'x' }\n</style>"
    source = page("<p style='display: grid'>x</p>").replace("<html>", f"<html><head>{head}</head>")
    assert places(found(root, source, "email.html")) == [("T601", 6, 6, 13), ("T601", 8, 3, 8)]
    assert "here and in 2 more places" in found(root, source, "email.html")[0].message


@pytest.mark.parametrize(
    "body",
    [
        '<p style="border-radius: 4px; box-shadow: 0 0 1px #000; background-image: linear-gradient(#fff, #eee)">x</p>',
        '<p style="font-family: flex; background: url(https://shop.example/display:flex)">x</p>',
        "<p>display: flex; 2rem; &lt;form&gt; var(x)</p>",
        "<!-- <form> display: grid --><p>x</p>",
        "<!--[if mso]><v:rect style='position: absolute'></v:rect><form></form><![endif]--><p>x</p>",
        "<p class='{% if customer.city %}form{% endif %}'>{{ 'display: flex' }}</p>",
        "<header><h1>x</h1></header>",
    ],
)
def test_what_only_decorates_or_only_looks_alike_is_not_said(root: Path, body: str) -> None:
    assert found(root, page(body), "email.html") == []


def test_what_a_client_may_skip_is_not_said(root: Path) -> None:
    css = (
        "/* display: grid */ @media (max-width: 480px) { .a { display: flex } .b { color: rgba(0,0,0,.5) } }"
        " @supports (display: grid) { .a { display: grid } } .a:hover { color: red }"
    )
    source = page("<p>x</p>").replace("<html>", f"<html><head><style>{css}</style></head>")
    assert found(root, source, "email.html") == []


def test_what_the_mjml_compiler_writes_is_not_the_author_s(root: Path) -> None:
    body = """<mj-hero background-url="https://shop.example/a.png" background-color="#fff"><mj-text>x</mj-text></mj-hero>
    <mj-section background-url="https://shop.example/a.png"><mj-group><mj-column border-radius="4px"><mj-text>x</mj-text>
    <mj-social><mj-social-element name="web" href="https://shop.example">Shop</mj-social-element></mj-social>
    <mj-navbar hamburger="hamburger"><mj-navbar-link href="https://shop.example/new">New</mj-navbar-link></mj-navbar>
    <mj-accordion><mj-accordion-element><mj-accordion-title>t</mj-accordion-title><mj-accordion-text>x</mj-accordion-text>
    </mj-accordion-element></mj-accordion></mj-column></mj-group></mj-section>"""
    assert found(root, body) == []


def test_the_table_is_the_one_that_the_npm_package_makes() -> None:
    """Of two features; the whole package is not in this repository."""
    stats = {
        family: {platform: {"1": "y", "2": "n #1"}}
        for family, platform in making.CLIENTS.values()
        if family != "gmx"
    }
    made = [
        {"slug": slug, "title": "t", "url": "u", "stats": stats | {"gmx": {"desktop-webmail": {"1": "u"}}}}
        for slug in making.FEATURES
    ]
    table = making.reduced({"data": made, "last_update_date": "2025-09-09 18:08:06 +0000"})
    assert (table["date"], len(table["features"])) == ("2025-09-09", len(making.FEATURES))
    gmail = table["features"][0]
    assert "GMX" not in gmail["fails"]
    assert gmail["known"] == len(gmail["fails"]) > 0


def test_the_table_in_the_package_is_whole() -> None:
    path = Path(making.__file__).parent / "caniemail.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    assert [one["written"] for one in table["features"]] == list(making.FEATURES.values())
    assert {one.title for one in features()} >= {
        "display:flex",
        "<video> element",
        "CSS Variables (Custom Properties)",
    }
    assert "MIT License" in (path.parent / "caniemail.LICENSE").read_text(encoding="utf-8")
    assert NotShown.code == "T601"


@pytest.mark.parametrize(
    "piece",
    ["<style>", "<a ", '<a href="#">', '<img src="', "url(", "<!--", "<mj-style ", "@media {", "/*", "&#"],
)
def test_sources_that_never_close_anything_come_to_an_end(tmp_path: Path, piece: str) -> None:
    """A search that began anew at each of them would take hours here."""
    path = tmp_path / "email.html"
    path.write_text(piece * (250_000 // len(piece)), encoding="utf-8")
    source = read_mail_file(path, "email.html")
    assert source is not None
    assert source.css.strip() == ""
    assert all(one.words.strip() == "" for one in source.links())
    assert pictures(source.text, source.name, 1, tmp_path)[0] == {}
    assert without_comments(source.text, conditional=True) == source.text


# --- size -------------------------------------------------------------------------------------------------


def test_a_mail_that_gmail_cuts_off_names_its_largest_parts(root: Path) -> None:
    (problem,) = found(root, page("<p>" + "Much to say. " * 8000 + "</p>"), "email.html")
    assert (problem.code, problem.place.line) == ("T602", 1)
    assert problem.message.startswith("This mail has 102 kB of HTML; Gmail cuts mails off after 102 kB.")
    assert "Most of it: text and elements 102 kB" in problem.message
    (problem,) = found(root, page("<p>" + "Much to say. " * 9000 + "</p>"), "email.html")
    assert "Gmail cuts it off after 102 kB" in problem.message


def test_a_mail_just_below_is_not_mentioned(root: Path) -> None:
    assert found(root, page("<p>" + "x" * 91_000 + "</p>"), "email.html") == []


# --- links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ('<a href="">x</a>', "T603"),
        ('<a href="#">x</a>', "T603"),
        ('<a href="#down">x</a>', "T603"),
        ('<a href="TODO">x</a>', "T603"),
        ('<a href="https://www.example.com/sale">x</a>', "T603"),
        ('<a href="http://localhost:3000/">x</a>', "T603"),
        ('<a href="shop/sale.html">x</a>', "T604"),
        ('<a href="ftp://shop.example/x">x</a>', "T604"),
        ('<a href="www.shop.example">x</a>', "T604"),
        ('<a href="https://shop.example"> </a>', "T605"),
        (
            '<a href="https://shop.example"><img src="https://shop.example/a.png" alt="" width="9"></a>',
            "T605",
        ),
    ],
)
def test_a_link_that_is_none_is_found(root: Path, link: str, code: str) -> None:
    problems = found(root, page(f"<p>{link}</p>"), "email.html")
    assert [one.code for one in problems] == [code]
    assert problems[0].place.line == 6


@pytest.mark.parametrize(
    "link",
    [
        '<a href="https://shop.example/example.com">x</a>',
        '<a href="https://todo.shop.example/#">x</a>',
        '<a href="#down">x</a><p id="down">y</p>',
        '<a href="{{ links.view }}">x</a>',
        '<a href="https://shop.example/{{ customer.id }}">x</a>',
        '<a href="{% if customer.city %}https://shop.example/a{% else %}https://shop.example/b{% endif %}">x</a>',
        '<a href="mailto:{{ sender.email }}">{{ sender.email }}</a>',
        '<a href="tel:+49401234">x</a>',
        '<a href="https://shop.example"><img src="https://shop.example/a.png" alt="Shop" width="9"></a>',
        '<a href="https://shop.example" aria-label="Shop"></a>',
        '<a name="down"></a>',
        '<a href="https://shop.example/a">x</a> <a href="https://shop.example/a">x</a>',
        "{% if customer.city %}<a href='https://shop.example/a'>x</a>{% else %}<a href='https://shop.example/b'>x</a>{% endif %}",
        "{% for one in orders %}<a href='https://shop.example/{{ loop.index }}'>Order {{ loop.index }}</a>{% endfor %}",
        "{% if customer.city %}<a href='https://shop.example/{{ customer.city }}'>x</a>{% endif %}",
    ],
)
def test_a_link_that_is_one_is_not_mentioned(root: Path, link: str) -> None:
    assert found(root, page(f"<p>{link}</p>"), "email.html") == []


def test_the_same_words_for_two_places_are_said_at_the_second(root: Path) -> None:
    source = page(
        '<a href="https://shop.example/a">Read <b>more</b></a>\n<a href="https://shop.example/b">Read more</a>'
    )
    (problem,) = found(root, source, "email.html")
    assert places([problem]) == [("T606", 7, 1, 2)]
    assert problem.message == "`Read more` leads somewhere else here than in line 6."


def test_a_link_that_vanishes_for_some_is_said_only_where_it_does(root: Path) -> None:
    link = '<a href="{% if customer.city %}https://shop.example/{{ customer.city }}{% endif %}">x</a>'
    assert [one.code for one in found(root, page(link), "email.html")] == ["T607"]
    guarded = "{% if customer.city %}" + link + "{% endif %}"
    assert found(root, page(guarded), "email.html") == []


# --- the mail as a whole ----------------------------------------------------------------------------------


def test_an_order_s_paper_needs_no_way_out(root: Path) -> None:
    bare = "---\nsubject: s\npreheader: p\n---\n<html><body><p>Your order</p></body></html>"
    assert [one.code for one in found(root, bare, "email.html")] == ["T610", "T611"]
    paper = bare.replace("preheader: p", "preheader: p\ncategory: transactional")
    assert found(root, paper, "email.html") == []


def test_an_address_written_out_is_one(root: Path) -> None:
    body = '<p>Klangladen GmbH, Hafenstr. 1,\n 20457 Hamburg <a href="{{ links.preferences }}">Out</a></p>'
    bare = f"---\nsubject: s\npreheader: p\n---\n<html><body>{body}</body></html>"
    assert found(root, bare, "email.html") == []


def test_a_subject_is_measured_as_customers_see_it(root: Path) -> None:
    long = (
        "---\nsubject: 'x {% if customer.first_name %}"
        + "y" * 60
        + "{% endif %} {{ customer.first_name }}'\npreheader: p\n---\n"
    )
    section = f"<mj-section><mj-column><mj-text>{FOOT}</mj-text></mj-column></mj-section>"
    assert [one.code for one in found(root, long + section)] == []
    (problem,) = found(root, long.replace("'x ", "'x " + "z" * 9) + section)
    assert (problem.code, problem.place.line, problem.place.column) == ("T612", 2, 11)

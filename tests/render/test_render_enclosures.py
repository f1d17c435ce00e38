"""Pictures and attachments: what may go with a message, where it is found, how the HTML shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.render.writing import Make, context, rendered
from treue.render.templates.enclosures import LARGEST_PICTURE, LARGEST_TOGETHER, Enclosure
from treue.render.templates.renderer import Renderer

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
PDF = b"%PDF-1.7 menu"
MAIL = "---\nsubject: s\n{front}---\n<html><body>{body}</body></html>"


def mail(body: str = "<p>x</p>", front: str = "") -> str:
    return MAIL.format(body=body, front=front)


def beside(root: Path, name: str, content: bytes = PNG) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def said(renderer: Renderer) -> list[tuple[int, int, str, str]]:
    return [(one.line, one.column, one.code, one.message) for one in renderer.problems("x")]


def test_a_picture_beside_the_template_is_hosted_under_its_hash(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "x/cover art.png")
    kept: list[Enclosure] = []
    make({"x/email.html": mail('<img src="cover art.png" alt="">')})
    renderer = Renderer(tmp_path, public_url="https://shop.example/", keep=kept.append)
    message = rendered(renderer.render("email", "x", context()))
    (source,) = re.findall(r'src="([^"]*)"', message.html)
    assert re.fullmatch(r"https://shop\.example/a/[0-9a-f]{32}/cover%20art\.png", source)
    assert message.attachments == ()
    assert [(one.name, one.media_type, one.content) for one in kept] == [("cover art.png", "image/png", PNG)]
    assert message.pictures == ((source, kept[0]),)


def test_another_picture_of_the_same_name_has_another_address_and_is_another_version(
    make: Make, tmp_path: Path
) -> None:
    beside(tmp_path, "x/a.png")
    renderer = make({"x/email.html": mail('<img src="a.png" alt="">')})
    before, version = rendered(renderer.render("email", "x", context())).html, renderer.version("x")
    beside(tmp_path, "x/a.png", PNG + b"!")
    renderer.refresh()
    assert rendered(renderer.render("email", "x", context())).html != before
    assert renderer.version("x") != version


def test_attached_pictures_are_shown_by_content_id_and_go_inside_the_mail(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "x/a.png")
    renderer = make({"x/email.html": mail('<img src="a.png"><img src="a.png">', "pictures: attached\n")})
    message = rendered(renderer.render("email", "x", context()))
    (part,) = message.attachments
    assert (part.name, part.media_type, part.content) == ("a.png", "image/png", PNG)
    assert message.html.count(f'src="cid:{part.content_id}"') == 2


def test_pictures_are_found_wherever_mail_has_them(make: Make, tmp_path: Path) -> None:
    for name in "abcdef":
        beside(tmp_path, f"x/{name}.png", PNG + name.encode())
    body = """<mj-section background-url="a.png"><mj-column background-color="#fff"><mj-image src="b.png" alt="b" />
      <mj-text><img src='c.png' alt=""><span style="background: url(d.png)">x</span></mj-text>
      <mj-raw><table background="e.png"><tr><td>x</td></tr></table></mj-raw></mj-column></mj-section>"""
    head = "<mj-head><mj-style>.y { background: url('f.png'); }</mj-style></mj-head>"
    source = f"---\nsubject: s\n---\n<mjml>{head}<mj-body>{body}</mj-body></mjml>"
    message = rendered(make({"x/email.mjml": source}).render("email", "x", context()))
    assert [picture.name for _, picture in sorted(message.pictures, key=lambda one: one[1].name)] == [
        f"{name}.png" for name in "abcdef"
    ]
    assert "treue-picture" not in message.html
    for address, _ in message.pictures:
        assert address in message.html


def test_a_layout_shows_its_own_picture_and_lends_it_to_templates(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "_layout/logo.png", PNG + b"layout")
    beside(tmp_path, "_layout/lent.png", PNG + b"lent")
    beside(tmp_path, "x/logo.png", PNG + b"own")
    layout = '<html><body><img src="logo.png" alt="">{{ content }}</body></html>'
    renderer = make({
        "_layout/email.html": layout,
        "x/email.html": '---\nsubject: s\n---\n<img src="logo.png" alt=""><img src="lent.png" alt="">',
    })  # fmt: skip
    message = rendered(renderer.render("email", "x", context()))
    assert [picture.content for _, picture in message.pictures] == [
        PNG + b"layout", PNG + b"own", PNG + b"lent",
    ]  # fmt: skip


def test_what_only_reads_like_a_picture_is_text(make: Make) -> None:
    body = """<p title="a > b">Write src="logo.png" or url(logo.png), background=logo.png</p>"""
    renderer = make({"x/email.html": mail(body)})
    assert renderer.problems("x") == ()
    assert 'Write src="logo.png"' in rendered(renderer.render("email", "x", context())).html


def test_a_picture_in_a_tag_with_data_in_it_is_found(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "x/a.png")
    body = '<img alt="{{ customer.first_name }} > 1" width="{% if 1 %}2{% endif %}" src="a.png">'
    message = rendered(make({"x/email.html": mail(body)}).render("email", "x", context()))
    assert [picture.name for _, picture in message.pictures] == ["a.png"]


def test_addresses_elsewhere_and_those_data_give_are_left_alone(make: Make) -> None:
    body = (
        '<img src="https://cdn.example.com/a.png"><img src="//cdn.example.com/b.png"><img src="cid:c">'
        '<img src="data:image/png;base64,eA=="><img src="{{ customer.shop_url }}/d.png"><a href="e.png">x</a>'
    )
    renderer = make({"x/email.html": mail(body)})
    assert renderer.problems("x") == ()
    message = rendered(renderer.render("email", "x", context()))
    assert message.pictures == ()
    assert "https://shop.example.com/ada/d.png" in message.html


@pytest.mark.parametrize(
    "name",
    [
        "../y/secret.png",
        "/etc/hosts.png",
        "a/../../b.png",
        "..\\b.png",
        ".hidden.png",
        "b/c.png",
        "..%2Fy%2Fsecret.png",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(make: Make, tmp_path: Path, name: str) -> None:
    beside(tmp_path, "y/secret.png")
    for source in (mail(f'<img src="{name}">'), mail(front=f"attach: ['{name}']\n")):
        problems = said(make({"x/email.html": source}))
        assert [code for _, _, code, _ in problems] == ["T407"]
        assert "is not the name of a file" in problems[0][3]


def test_a_link_to_a_file_elsewhere_is_refused(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "y/secret.pdf", PDF)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "menu.pdf").symlink_to(tmp_path / "y" / "secret.pdf")
    assert said(make({"x/email.html": mail(front="attach: menu.pdf\n")})) == [
        (3, 9, "T407", "menu.pdf is not a plain file.")
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", b"GIF89a", "is no image/png"),
        ("a.jpg", b"<script>", "is no image/jpeg"),
        ("a.svg", b"<svg/>", "of a kind"),
        ("a.png", None, "There is no file a.png"),
        ("a.png", PNG + b"x" * LARGEST_PICTURE, "more than 2 MB"),
    ],
)
def test_what_is_no_picture_is_found_at_its_place(
    make: Make, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        beside(tmp_path, f"x/{name}", content)
    ((line, column, code, message),) = said(make({"x/email.html": mail(f'\n <img src="{name}">')}))
    assert (line, column, code) == (5, 12, "T407")
    assert words in message


def test_a_picture_by_condition_says_how_to_write_it(make: Make) -> None:
    body = '<img src="{% if customer.first_name %}a.png{% else %}b.png{% endif %}">'
    ((_, _, code, message),) = said(make({"x/email.html": mail(body)}))
    assert (code, message) == ("T407", "A picture's name has no tags in it.")


def test_files_are_attached_in_their_order_and_are_part_of_the_version(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "x/menu.pdf", PDF)
    beside(tmp_path, "x/Grüße.txt", "Grüße".encode())
    beside(tmp_path, "_layout/terms.pdf", PDF)
    front = "attach:\n  - menu.pdf\n  - Grüße.txt\n  - terms.pdf\n"
    renderer = make({"x/email.html": mail(front=front)})
    assert renderer.problems("x") == ()
    message = rendered(renderer.render("email", "x", context()))
    assert [(one.name, one.media_type, one.content_id) for one in message.attachments] == [
        ("menu.pdf", "application/pdf", ""), ("Grüße.txt", "text/plain", ""), ("terms.pdf", "application/pdf", ""),
    ]  # fmt: skip
    version = renderer.version("x")
    beside(tmp_path, "x/menu.pdf", PDF + b"2")
    renderer.refresh()
    assert renderer.version("x") != version


def test_a_translation_brings_the_same_files_unless_it_names_its_own(make: Make, tmp_path: Path) -> None:
    for name in ("menu.pdf", "karte.pdf"):
        beside(tmp_path, f"x/{name}", PDF)
    renderer = make({
        "x/email.html": mail(front="attach: menu.pdf\n"), "x/email.fr.html": mail(),
        "x/email.de.html": mail(front="attach: [karte.pdf]\n"), "x/email.it.html": mail(front="attach: []\n"),
    })  # fmt: skip
    names = {
        locale: [one.name for one in rendered(renderer.render("email", "x", context(), locale)).attachments]
        for locale in ("en", "fr", "de", "it")
    }
    assert names == {"en": ["menu.pdf"], "fr": ["menu.pdf"], "de": ["karte.pdf"], "it": []}


def test_all_files_of_a_mail_together_have_a_limit(make: Make, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        beside(tmp_path, f"x/{name}", PDF + b"x" * (LARGEST_TOGETHER // 2))
    ((_, _, code, message),) = said(make({"x/email.html": mail(front="attach: [a.pdf, b.pdf]\n")}))
    assert (code, message) == ("T407", "The files in this mail have more than 7 MB together.")


@pytest.mark.parametrize(
    ("front", "code", "words"),
    [
        ("attach: [run.exe]\n", "T407", "of a kind"),
        ("attach: ['{{ customer.id }}.pdf']\n", "T402", "a list of files' names"),
        ("attach: {a: b}\n", "T402", "a list of files' names"),
        ("pictures: inline\n", "T402", "is not a word for pictures"),
    ],
)
def test_front_matter_that_means_no_file_is_a_problem(make: Make, front: str, code: str, words: str) -> None:
    ((line, _, found, message),) = said(make({"x/email.html": mail(front=front)}))
    assert (line, found) == (3, code)
    assert words in message


def test_a_short_message_takes_no_files(make: Make, tmp_path: Path) -> None:
    beside(tmp_path, "x/menu.pdf", PDF)
    ((_, _, _, message),) = said(make({"x/sms.txt": "---\nattach: menu.pdf\n---\nHi"}))
    assert message == "A message by sms has no attachments."

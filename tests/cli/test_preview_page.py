"""The preview's page: what is in it, and that what customers' data say stays text."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from treue.cli.authoring.preview.facts import links
from treue.cli.authoring.preview.page import POLICY, Occasion, Shown, page
from treue.render.mail.on_screen import in_scheme
from treue.render.problem import RenderFailure
from treue.render.templates.renderer import Rendered

HOSTILE = (
    '"><script>alert(1)</script>',
    "' onload='alert(1)",
    "</iframe><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "&quot;&gt;&lt;script&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "\u202e</title>\x00",
)
NOW = datetime(2026, 3, 2, 8, 5, tzinfo=UTC)


def occasion(text: str = "welcome") -> Occasion:
    return Occasion(text, text, text, NOW, "Europe/Berlin")


class Elements(HTMLParser):
    """Every element with its attributes, and the pages inside frames."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def names(self) -> set[str]:
        return {name for name, _ in self.found}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_customer_is_called_becomes_markup(text: str) -> None:
    said = Rendered("email", text, text, text, "<html><body>Hi</body></html>", from_name=text, locale=text)
    messages = [
        Shown("email", said, text, text, text),
        Shown("sms", Rendered("sms", text), text, text, text),
        Shown("push", Rendered("push", text, title=text, link=text), text, text, text),
        Shown("push", RenderFailure("missing-value", text, text, 1, 1), text, text, text),
    ]
    harmless = page(occasion("x"), [Shown(one.channel, one.message, "x", "x", "x") for one in messages])
    found = Elements(page(occasion(text), messages))
    assert found.names() <= Elements(harmless).names() | {"br"}
    assert "script" not in found.names()
    assert {name for _, attributes in found.found for name in attributes if name.startswith("on")} == set()


def test_a_mail_stands_in_a_frame_that_may_do_nothing_and_loads_nothing() -> None:
    mail = '<html><body onload="alert(1)"><script>alert(1)</script><img src="https://spy.example/p.gif"></body></html>'
    made = page(
        occasion(),
        [Shown("email", Rendered("email", "t", "s", "", mail), "Shop", "a@b.example", "c@d.example")],
    )
    found = Elements(made)
    frames = [attributes for name, attributes in found.found if name == "iframe"]
    assert len(frames) == 4
    for frame in frames:
        assert frame["sandbox"] is None or frame["sandbox"] == ""
        assert "src" not in frame
        assert "spy.example" in str(frame["srcdoc"])
    metas = [attributes for name, attributes in found.found if name == "meta"]
    assert metas[1] == {"http-equiv": "Content-Security-Policy", "content": POLICY}
    assert "script" not in found.names()
    assert "default-src 'none'; img-src data:" in POLICY


def test_a_message_that_cannot_be_made_says_why_beside_those_that_can() -> None:
    failure = RenderFailure("missing-value", "This customer has no city.", "templates/x/sms.txt", 3, 4)
    made = page(occasion(), [
        Shown("email", Rendered("email", "Hello", "Subject"), "Shop", "a@b.example", ""),
        Shown("sms", failure, "Shop", "", ""),
    ])  # fmt: skip
    assert "This customer has no city." in made
    assert "templates/x/sms.txt:3:4" in made
    assert "nobody: this customer has no address" in made
    assert "9:05" in made


def test_the_bar_says_what_gmail_cuts_off() -> None:
    def sized(kilobytes: int) -> str:
        html = "x" * kilobytes * 1024
        return page(
            occasion(), [Shown("email", Rendered("email", "t", "s", "p", html), "", "a@b.example", "")]
        )

    assert '<rect class="taken" width="50.0"' in sized(51)
    assert "it cuts the rest off" not in sized(101)
    assert "it cuts the rest off" in sized(103)


def test_a_colour_scheme_is_the_one_asked_for_whatever_the_browser_s_is() -> None:
    css = "@media (prefers-color-scheme: dark) { a {} } @media (max-width:9px) and (prefers-color-scheme:light) { b {} }"
    mail = f"<html><head><meta name='color-scheme' content='light dark'><style>{css}</style></head></html>"
    dark, light = in_scheme(mail, "dark"), in_scheme(mail, "light")
    assert "@media (min-width: 0) { a {} } @media (max-width:9px) and (max-width: 0) { b {} }" in dark
    assert "@media (max-width: 0) { a {} } @media (max-width:9px) and (min-width: 0) { b {} }" in light
    assert "color-scheme: dark !important" in dark
    assert "color-scheme: light !important" in in_scheme("<html><head></head></html>", "dark")


def test_links_have_their_words_and_each_address_comes_once() -> None:
    html = (
        '<a href="https://a.example/?x=1&amp;y=2">One <b>thing</b></a><a href="https://b.example"><img alt="Shop"></a>'
        '<a href="https://a.example/?x=1&amp;y=2">once more</a><a href="https://b.example">again</a><a name="x">none</a><a href="mailto:c@d.example"></a>'
    )
    assert [(one.address, one.words) for one in links(Rendered("email", "", html=html))] == [
        ("https://a.example/?x=1&y=2", "One thing"), ("https://b.example", "Shop"), ("mailto:c@d.example", ""),
    ]  # fmt: skip
    push = Rendered("push", "see https://e.example/a.", link="app://x")
    assert [one.address for one in links(push)] == ["app://x", "https://e.example/a"]

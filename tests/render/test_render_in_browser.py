"""The reference workspace's mails in a real browser: nothing runs out of a telephone, everything can be read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.render.pictures import SCHEMES, Mail, browser, mails, measure
from treue.render.mail.on_screen import Scheme, in_scheme
from treue.vocabulary.workspace import load
from treue.workspace.files import reference_workspace

needs_browser = pytest.mark.skipif(
    browser() is None, reason="no Chromium on the PATH: apt-get install chromium"
)
READABLE = 4.5
"""The least contrast of text to its ground (WCAG 2.2, 1.4.3, AA)."""
SMALLEST = 13.0
"""Pixels of the smallest text."""


@pytest.fixture(scope="module")
def all_mails() -> list[Mail]:
    return list(mails(load(reference_workspace())))


@needs_browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [360, 800])
def test_every_mail_fits_and_can_be_read(all_mails: Sequence[Mail], scheme: Scheme, width: int) -> None:
    assert len(all_mails) > 80
    found = measure([in_scheme(mail.page, scheme) for mail in all_mails], width)
    for mail, page in zip(all_mails, found, strict=True):
        who = f"{mail.template} {mail.locale} {mail.person}"
        assert page["wide"] <= page["room"] == width, who
        assert len(page["texts"]) > 5, who
        for text in page["texts"]:
            assert text["right"] <= width, (who, text)
            assert text["contrast"] >= READABLE, (who, text)
            assert text["size"] >= SMALLEST, (who, text)


def test_the_layout_gives_plain_markup_what_its_style_for_dark_mode_names(
    all_mails: Sequence[Mail], tmp_path: Path
) -> None:
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(reference_workspace() / folder, tmp_path / folder)
    shutil.copy(reference_workspace() / "treue.yaml", tmp_path)
    named = 0
    for path in tmp_path.glob("templates/[!_]*/email*.mjml"):
        text, times = re.subn(
            r' css-class="(?:sheet|action|label|why)"', "", path.read_text(encoding="utf-8")
        )
        path.write_text(text, encoding="utf-8")
        named += times
    assert named > 80
    plain = list(mails(load(tmp_path)))
    assert [mail.page for mail in plain] == [mail.page for mail in all_mails]


@needs_browser
def test_what_is_measured_is_what_is_there() -> None:
    """A page that is too wide, one that nobody can read, one that knows dark mode and one that does not."""
    style = "<style>p { color: #999; } @media (prefers-color-scheme: dark) { body { background: #000; } p { color: #eee; } }</style>"
    pages = [
        "<html><head></head><body style='margin:0'><div style='width:500px'>wide</div></body></html>",
        f"<html><head>{style}</head><body><p>grey<span style='display:none'>unseen</span></p></body></html>",
        "<html><head><meta name='color-scheme' content='light dark'></head><body><p>own</p></body></html>",
    ]
    light = measure([in_scheme(page, "light") for page in pages], 360)
    dark = measure([in_scheme(page, "dark") for page in pages], 360)
    assert (light[0]["wide"], light[0]["room"]) == (500, 360)
    assert [text["words"] for text in light[1]["texts"]] == ["grey"]
    assert light[1]["texts"][0]["contrast"] == pytest.approx(2.85, abs=0.01)
    assert dark[1]["texts"][0]["contrast"] == pytest.approx(18.1, abs=0.1)
    assert min(page[2]["texts"][0]["contrast"] for page in (light, dark)) > 15


@needs_browser
def test_dark_mode_here_is_what_a_browser_in_dark_mode_shows(all_mails: Sequence[Mail]) -> None:
    pages = [mail.page for mail in all_mails if mail.template in ("welcome", "win-back-discount")]
    truly_dark = measure(pages, 360, "--blink-settings=preferredColorScheme=0")
    assert measure([in_scheme(page, "dark") for page in pages], 360) == truly_dark
    assert measure([in_scheme(page, "light") for page in pages], 360) != truly_dark

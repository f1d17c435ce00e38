"""How many parts an SMS takes."""

from __future__ import annotations

import pytest

from treue.render.mail.sms import EXTENDED, GSM, named, plainer, sms_length


def test_the_basic_alphabet_has_the_127_characters_beside_the_escape() -> None:
    assert len(GSM) == 127
    assert len(EXTENDED) == 10


@pytest.mark.parametrize(
    ("text", "coding", "units", "parts"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("Grüße für 5 €", "GSM-7", 14, 1),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("€" * 153, "GSM-7", 306, 3),  # an escape never stands at the end of a part: 76 a part
        ("ł" * 70, "UCS-2", 70, 1),
        ("ł" * 71, "UCS-2", 71, 2),
        ("🎵" * 35, "UCS-2", 70, 1),
        ("🎵" * 67, "UCS-2", 134, 3),  # 33 whole pairs in each part of 67
        ("a" * 65 + "👍🏽" + "b" * 65, "UCS-2", 134, 3),  # a hand and its colour stay together
        ("a" * 66 + "\r\n" + "ł" * 66, "UCS-2", 134, 2),  # a line's end may be torn
    ],
)
def test_an_sms_is_counted_as_networks_bill_it(text: str, coding: str, units: int, parts: int) -> None:
    found = sms_length(text)
    assert (found.coding, found.units, found.parts) == (coding, units, parts)


def test_what_makes_an_sms_dear_is_named() -> None:
    assert sms_length("Tschüß „Ada“").unusual == ("„", "“")


def test_a_character_of_several_is_named_whole() -> None:
    assert sms_length("Danke 👩‍❤️‍👨!").unusual == ("👩‍❤️‍👨",)


def test_what_typesetting_costs_is_told_by_writing_it_plainly() -> None:
    text = "„Nur heute“ – 20 % auf alles… " + "a" * 60
    assert (sms_length(text).parts, sms_length(plainer(text)).parts) == (2, 1)
    assert plainer(text).startswith('"Nur heute" - 20 % auf alles... ')
    assert sms_length(plainer("ł 🎵")) == sms_length("ł 🎵")


def test_a_character_that_cannot_be_seen_is_named_by_its_number() -> None:
    assert [named(one) for one in ("„", "🎵", "\u00a0", "\u200b", "\u200d\u200d")] == [
        "„", "🎵", "U+00A0", "U+200B", "U+200D U+200D",
    ]  # fmt: skip

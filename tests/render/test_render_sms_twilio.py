"""Our count of an SMS's parts against Twilio's own calculator, over thousands of random texts."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from treue.render.mail.sms import EXTENDED, GSM, SmsLength, plainer, sms_length

REPOSITORY = Path(__file__).parents[2]
INSTALLED = REPOSITORY / ".venv" / "npm" / "node_modules" / "sms-segments-calculator"
ASKING = Path(__file__).with_name("twilio_calculator.js")

PLAIN = sorted(GSM - {"\r"})
TWICE = sorted(EXTENDED)
ACCENTED = ["ä", "ö", "ü", "ß", "é", "ç", "ł", "ő", "Ж", "中", "ﷺ", "a\u0308", "e\u0301\u0323", "ก็", "نَ"]
TYPOGRAPHY = ["„", "“", "”", "’", "–", "—", "…", "\u00a0", "\u200b", "«", "»"]
EMOJI = ["🎵", "👍", "👍🏽", "❤️", "👩‍❤️‍👨", "👨‍👩‍👧‍👦", "🇩🇪", "🇫🇷", "☎", "1️⃣", "🎅🏿"]
LENGTHS = (20, 60, 70, 71, 130, 134, 135, 153, 159, 160, 161, 305, 306, 307, 460)


@pytest.fixture(scope="module")
def calculator() -> list[str]:
    node = shutil.which("node")
    if node is None or not INSTALLED.exists():
        if os.environ.get("TREUE_REQUIRE_SEGMENTS"):
            pytest.fail("TREUE_REQUIRE_SEGMENTS is set, and there is no sms-segments-calculator")
        pytest.skip("no sms-segments-calculator: npm install --prefix .venv/npm sms-segments-calculator")
    return [node, str(ASKING), str(INSTALLED)]


def asked(calculator: Sequence[str], texts: Sequence[str], smart: bool = False) -> list[tuple[str, int, int]]:
    """Return Twilio's coding, parts and bits of each text."""
    lines = "".join(json.dumps({"text": text, "smart": smart}) + "\n" for text in texts)
    done = subprocess.run(calculator, input=lines, capture_output=True, text=True, check=True, timeout=120)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def ours(length: SmsLength) -> tuple[str, int, int]:
    """Return our count in Twilio's terms."""
    return length.coding, length.parts, length.units * (7 if length.coding == "GSM-7" else 16)


def texts(alphabet: Sequence[str], seed: int, count: int) -> Iterator[str]:
    """Yield random texts that end near the ends of parts, with rare characters in many places."""
    dice = random.Random(seed)
    for _ in range(count):
        share, wanted, text = (
            dice.choice((0.0, 0.02, 0.2, 0.7)),
            dice.choice(LENGTHS) + dice.randint(-3, 3),
            "",
        )
        while len(text) < wanted:
            text += dice.choice(alphabet) if dice.random() < share else dice.choice("abcdefg hijk")
        yield text


def border(alphabet: Sequence[str]) -> Iterator[str]:
    """Yield each character at each place around the ends of the first parts."""
    for one in alphabet:
        for place in (*range(60, 72), *range(126, 136), *range(150, 162), *range(303, 308)):
            yield "a" * place + one + "b" * 40


@pytest.mark.parametrize(
    ("alphabet", "seed"),
    [(PLAIN, 1), (TWICE, 2), (ACCENTED, 3), (TYPOGRAPHY, 4), (EMOJI, 5), (TWICE + ACCENTED + EMOJI, 6)],
    ids=["basic", "extension", "accents", "typography", "emoji", "all"],
)
def test_we_count_as_twilio_does(calculator: list[str], alphabet: Sequence[str], seed: int) -> None:
    asking = [*texts(alphabet, seed, 700), *border(random.Random(seed).sample(alphabet, 10))]
    answers = asked(calculator, asking)
    assert len(answers) == len(asking)
    differing = [
        (text, ours(sms_length(text)), answer)
        for text, answer in zip(asking, answers, strict=True)
        if ours(sms_length(text)) != answer
    ]
    assert differing[:3] == []


def test_what_typesetting_costs_is_what_twilios_smart_encoding_saves(calculator: list[str]) -> None:
    # A no-break blank is left out: Twilio's calculator makes two blanks of it.
    asking = list(texts([one for one in TYPOGRAPHY if one != "\u00a0"], 7, 700))
    answers = asked(calculator, asking, smart=True)
    assert [ours(sms_length(plainer(text))) for text in asking] == answers
    assert all(coding == "GSM-7" for coding, _, _ in answers)


@pytest.mark.parametrize("text", ["", "\r\n" * 80, "a\r\n" * 54, "\u0308", "\ud83d", "🏽", "\u200d" * 70])
def test_odd_texts_are_counted_alike(calculator: list[str], text: str) -> None:
    assert asked(calculator, [text]) == [ours(sms_length(text))]

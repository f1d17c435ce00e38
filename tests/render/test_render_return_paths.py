"""Return paths: ours are known again, however a mail system writes them, and nobody else can make one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from treue.render.mail.return_paths import ReturnPaths

PATHS = ReturnPaths(b"secret")
DOMAIN = "bounce.klangladen.example"


@given(st.integers(0, 2**63 - 1))
def test_a_return_path_of_ours_names_its_message(number: int) -> None:
    address = PATHS.address(number, DOMAIN)
    assert re.fullmatch(r"b\+\d+-[a-z2-7]{10}@bounce\.klangladen\.example", address)
    assert PATHS.read(address) == number
    assert PATHS.read(f"<{address.upper()}>") == number


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_the_code_of_one_message_opens_no_other(number: int, more: int) -> None:
    local = PATHS.address(number, DOMAIN)
    assert PATHS.read(local.replace(f"b+{number}-", f"b+{number + more}-")) is None
    assert PATHS.read(local.replace("b+", "b+0")) is None


@given(st.integers(0, 9), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_code_with_one_letter_changed_is_none(place: int, letter: str) -> None:
    address = PATHS.address(17, DOMAIN)
    at = address.index("-") + 1 + place
    changed = address[:at] + letter + address[at + 1 :]
    assert PATHS.read(changed) == (17 if changed == address else None)


@given(st.text(max_size=80))
def test_any_text_can_be_asked(text: str) -> None:
    assert PATHS.read(text) is None


def test_another_secret_makes_another_code_and_an_older_one_still_counts() -> None:
    old = ReturnPaths(b"old").address(17, DOMAIN)
    assert PATHS.read(old) is None
    assert ReturnPaths(b"secret", b"old").read(old) == 17
    assert ReturnPaths(b"secret", b"old").address(17, DOMAIN) == PATHS.address(17, DOMAIN)


def test_a_token_of_a_link_is_no_code_of_a_return_path() -> None:
    from treue.render.mail.links import Links

    token = Links("https://klangladen.example", b"secret").token("unsubscribe", 17, "email")
    assert PATHS.read(f"b+17-{token[:10].lower()}@{DOMAIN}") is None

"""Telephone numbers, and whom SMS come from."""

from __future__ import annotations

import pytest

from treue.channel.telephone import international, is_e164, not_a_number, sender_id
from treue.errors import ChannelError


@pytest.mark.parametrize("number", ["+4915123456789", "+14155552671", "+6421123456", "+123456789012345"])
def test_a_number_with_its_country_is_taken(number: str) -> None:
    assert is_e164(number)
    assert not_a_number(number) is None


@pytest.mark.parametrize("number", ["4915123456789", "015123456789", "+015123456789", "12345"])
def test_a_number_without_its_country_is_refused_and_the_reason_says_so(number: str) -> None:
    refused = not_a_number(number)
    assert refused is not None
    assert "begin with +" in refused.reason
    assert number not in refused.reason
    assert not refused.suppress


@pytest.mark.parametrize(
    "number",
    ["", "+", "+49 151 2345678", "+49151234567890123", "+49151abc", "ada@example.com",
     "+491512345678\n", "+٤٩١٥١٢٣٤٥٦٧٨", "+4915123456789,+4915123456780", "+4915123456789&From=x"],
)  # fmt: skip
def test_anything_else_is_no_number(number: str) -> None:
    refused = not_a_number(number)
    assert refused is not None
    assert "no telephone number" in refused.reason


def test_a_number_that_a_provider_writes_without_its_plus_gets_it() -> None:
    assert international("4915123456789") == "+4915123456789"
    assert international("+4915123456789") == "+4915123456789"
    assert international("Klangladen") == "Klangladen"
    assert international("24680") == "24680"


@pytest.mark.parametrize("text", ["Klangladen", "Shop 24", "A", "2Go", "+4915123456789", "24680", "T0m"])
def test_a_sender_is_a_number_a_short_code_or_a_name(text: str) -> None:
    assert sender_id(text) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs `sender:`"),
        ("Plattenladen Hamburg", "at most 11 letters A to Z"),
        ("Grünspan", "letters A to Z"),
        ("Shop\r\nBcc", "cannot send SMS"),
        (" Shop", "cannot send SMS"),
        ("Tom & Jerry", "digits and blanks"),
        ("Shop?", "cannot send SMS"),
        ("4915123456789", "number without its country"),
        ("123456789", "number without its country"),
        ("!!!", "cannot send SMS"),
    ],
)
def test_another_sender_is_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(ChannelError, match=says):
        sender_id(text)


def test_providers_differ_in_what_else_a_name_may_have() -> None:
    assert sender_id("Tom & Jerry", " +-_&") == "Tom & Jerry"
    with pytest.raises(ChannelError, match="A to Z, digits, not digits alone"):
        sender_id("Shop 24", "")

"""Tokens in links: those in mails that went out long ago still say what they said."""

from __future__ import annotations

import base64

import pytest

from treue.model.states import CHANNELS
from treue.render.mail.links import Links, Signed

LINKS = Links("https://shop.example", b"a secret of 32 bytes, or so it is")
NUMBER = 9_007_199_254_740_993
KEPT = {
    ("unsubscribe", "email"): "AAAAIAAAAAAAAUi8w-GdMUoKX-7DH2wjI_w",
    ("unsubscribe", "sms"): "AAEAIAAAAAAAAZXpCiU723LDmFx_L66t2Ng",
    ("unsubscribe", "push"): "AAIAIAAAAAAAAa5eLYzAthIJXigQSjADteU",
    ("preferences", "email"): "AQAAIAAAAAAAAQ1mDAppESu1vww-hSQXemc",
    ("preferences", "sms"): "AQEAIAAAAAAAAVD16RipxNBwlEdO84dimag",
    ("preferences", "push"): "AQIAIAAAAAAAATecLVnvNMJsTAsff1gsjLA",
    ("view", "email"): "AgAAIAAAAAAAAURCW39PxN_XyOXnjdNdHRI",
    ("view", "sms"): "AgEAIAAAAAAAASXiXnHPvilnY9OYUMdONxc",
    ("view", "push"): "AgIAIAAAAAAAAXkbX3sEnBSt5W8fHqLCbzM",
}
"""Tokens as they stand in mails; never write these anew."""


@pytest.mark.parametrize(("said", "token"), KEPT.items(), ids=map(" ".join, KEPT))
def test_a_token_in_an_old_mail_is_read_and_made_again(said: tuple[str, str], token: str) -> None:
    purpose, channel = said
    assert LINKS.read(token, purpose) == Signed(purpose, NUMBER, channel)
    assert LINKS.token(purpose, NUMBER, channel) == token


def test_every_channel_has_its_number() -> None:
    tokens = {LINKS.token("unsubscribe", NUMBER, channel) for channel in CHANNELS}
    assert len(tokens) == len(CHANNELS)


@pytest.mark.parametrize("place", [0, 1])
def test_a_number_without_a_meaning_is_no_token_though_it_is_signed(place: int) -> None:
    body = bytearray(b"\0" * 10)
    body[place] = 200
    mac = LINKS._mac(0, "unsubscribe", bytes(body))
    token = base64.urlsafe_b64encode(bytes(body) + mac).rstrip(b"=").decode()
    assert LINKS.read(token, "unsubscribe", "preferences", "view") is None

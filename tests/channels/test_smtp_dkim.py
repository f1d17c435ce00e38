"""Signatures, checked by dkimpy: an implementation that is not ours."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.channels.smtp_server import Script, Server
from treue.channel import Accepted, Outgoing
from treue.errors import ChannelError
from treue.render.mail.mail import MailContent, Sender, compose
from treue.testing.channel_contract import Log
from treue_channels.smtp import Smtp
from treue_channels.smtp.dkim import Signer

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
URL = "https://u.example.com/u/" + "Ab9-_" * 20
RSA, ED25519 = generate_rsa(65537, 2048), Ed25519PrivateKey.generate()
Key = RSAPrivateKey | Ed25519PrivateKey


def pem(key: object, encryption: object = None) -> str:
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    ).decode()


def record(key: Key) -> bytes:
    """The key as it stands in the DNS."""
    public = key.public_key()
    if isinstance(key, Ed25519PrivateKey):
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(raw)
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def holds(raw: bytes, key: Key) -> bool:
    def look_up(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.shop.example."
        return record(key)

    try:
        return bool(dkim.verify(raw, dnsfunc=look_up))
    except dkim.DKIMException:
        return False


def written(
    text: str = "Grüße", subject: str = "Hallo", name: str = "Ada", *, eight_bit: bool = False
) -> bytes:
    sender = Sender("Klangladen Köln", "hallo@shop.example", "shop", reply_to="re@shop.example")
    letter = MailContent("k1", "ada@example.com", subject, text, f"<p>{text}</p>", name, URL)
    raw = compose(sender, letter, NOW, eight_bit=eight_bit)
    assert isinstance(raw, bytes), raw
    return raw


def tags(raw: bytes) -> dict[str, str]:
    value = raw.partition(b"DKIM-Signature:")[2].split(b"\r\nFrom:")[0].decode().replace("\r\n", "")
    return {
        name.strip(): "".join(rest.split())
        for name, _, rest in (one.partition("=") for one in value.split(";"))
    }


BODIES = (
    "", "\n", "\n\n\n", "a", "a\n", "a \n b\t\tc  \n\n\n", "  leading\n\ttab\n", " ", "\t\n \n", "x" * 3000, "ü" * 600,
    ".dot\n..\n", "trailing \t \n\n \n",
)  # fmt: skip


@pytest.mark.parametrize("key", [RSA, ED25519], ids=["rsa", "ed25519"])
@pytest.mark.parametrize("body", BODIES)
def test_another_implementation_finds_the_signature_good(key: Key, body: str) -> None:
    signer = Signer("shop.example", "s1", pem(key))
    for eight_bit in (False, True):
        raw = signer.signed(written(body, eight_bit=eight_bit), NOW)
        assert holds(raw, key)
        assert max(map(len, raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))) < 998


def test_hostile_names_and_subjects_are_signed_as_they_go_out() -> None:
    chance, signer = random.Random(5), Signer("shop.example", "s1", pem(ED25519))
    signs = ("a" * 80, "ä" * 80, "\r\n", "=?utf-8?q?a?=", "\t", "  ", '"', "\\", ";", ":", "Zoë", "x")
    for _ in range(200):
        subject, name = ("".join(chance.choices(signs, k=5)) + "x" for _ in range(2))
        assert holds(signer.signed(written("x", subject, name), NOW), ED25519)


def test_the_headers_of_one_click_unsubscribe_are_signed_and_none_can_be_added() -> None:
    raw = Signer("shop.example", "s1", pem(RSA)).signed(written(), NOW)
    names = tags(raw)["h"].split(":")
    for name in (
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Feedback-ID",
    ):
        assert name in names
    assert [names.count(name) for name in ("From", "To", "Subject", "Date")] == [2, 2, 2, 2]
    for added in (b"From: evil@x.de\r\n", b"Subject: Evil\r\n"):
        assert not holds(raw.replace(b"\r\nFrom:", b"\r\n" + added + b"From:", 1), RSA)
        assert not holds(added + raw, RSA)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"ada@example.com", b"eve@example.com"), (b"Subject: Hallo", b"Subject: Hello"), (b"One-Click", b"Two-Click"),
     (URL.encode(), URL.encode() + b"x"), (b"boundary=", b"Boundary="), (b"<p>plain</p>", b"<p>plane</p>")],
)  # fmt: skip
def test_what_was_changed_on_the_way_is_found_out(old: bytes, new: bytes) -> None:
    raw = Signer("shop.example", "s1", pem(RSA)).signed(written("plain"), NOW)
    assert raw.count(old) >= 1
    assert holds(raw, RSA)
    assert not holds(raw.replace(old, new), RSA)


def test_what_servers_do_to_blanks_and_folds_on_the_way_does_no_harm() -> None:
    raw = Signer("shop.example", "s1", pem(RSA)).signed(written("plain text"), NOW)
    assert holds(raw.replace(b"Subject: Hallo", b"subject:\r\n\t Hallo"), RSA)
    assert holds(raw.replace(b"plain text", b"plain  \ttext"), RSA)
    assert holds(raw + b"\r\n\r\n", RSA)


def test_it_says_who_signed_and_when() -> None:
    found = tags(Signer("shop.example", "s1", pem(ED25519)).signed(written(), NOW))
    assert (found["a"], found["d"], found["s"]) == ("ed25519-sha256", "shop.example", "s1")
    assert found["t"] == str(int(NOW.timestamp()))
    assert found["c"] == "relaxed/relaxed"


def test_mails_that_arrive_are_signed_and_ascii(server: Server, script: Script, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(pem(RSA))
    adapter = Smtp(
        url=f"smtp://127.0.0.1:{server.port}?timeout=2",
        dkim_domain="shop.example", dkim_selector="s1", dkim_key=str(tmp_path / "key.pem"),
    )  # fmt: skip
    assert not adapter.capabilities.eight_bit
    assert Smtp.capabilities.eight_bit
    mails = [
        Outgoing(str(n), f"c{n}@example.com", "b@shop.example", written(f".Grüße {n}")) for n in range(3)
    ]
    assert [type(one) for one in adapter.send(mails, Log())] == [Accepted] * 3
    adapter.close()
    assert [holds(taken.raw, RSA) for taken in script.taken] == [True] * 3
    assert all(taken.raw.isascii() for taken in script.taken)


def test_a_mail_that_had_to_be_made_ascii_is_signed_after_that(server: Server, script: Script) -> None:
    script.features = tuple(feature for feature in script.features if feature != "8BITMIME")
    adapter = Smtp(
        url=f"smtp://127.0.0.1:{server.port}?timeout=2",
        dkim_domain="shop.example", dkim_selector="s1", dkim_key=pem(RSA),
    )  # fmt: skip
    mail = Outgoing("1", "c@example.com", "b@shop.example", written("Grüße", eight_bit=True))
    assert isinstance(adapter.send([mail], Log())[0], Accepted)
    adapter.close()
    assert script.taken[0].raw.isascii()
    assert holds(script.taken[0].raw, RSA)


@pytest.mark.parametrize(
    ("domain", "selector", "key", "said"),
    [
        ("shop.example", "s1", "", "cannot be read"),
        ("shop.example", "", pem(RSA), "give all three"),
        ("", "s1", pem(RSA), "give all three"),
        ("shop.example\r\nBcc: v@x.de", "s1", pem(RSA), "give all three"),
        ("shop.example", "s 1", pem(RSA), "give all three"),
        ("shop.example", "s1", "/nowhere/hunter2", "No such file"),
        (
            "shop.example",
            "s1",
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
            "no private key",
        ),
        ("shop.example", "s1", pem(RSA, BestAvailableEncryption(b"hunter2")), "encrypted"),
        (
            "shop.example",
            "s1",
            pem(generate_private_key(SECP256R1())),
            "RSA of 1024 bits or more, or with Ed25519",
        ),
    ],
)
def test_what_cannot_sign_is_told_without_showing_the_key(
    domain: str, selector: str, key: str, said: str
) -> None:
    with pytest.raises(ChannelError, match=said) as caught:
        Smtp(url="smtp://localhost", dkim_domain=domain, dkim_selector=selector, dkim_key=key)
    shown = str(caught.value) + repr(caught.value)
    assert "hunter2" not in shown
    assert not any(line in shown for line in pem(RSA).splitlines()[1:-1])
    assert caught.value.__cause__ is None


def test_nothing_shows_the_key() -> None:
    adapter = Smtp(url="smtp://localhost", dkim_domain="shop.example", dkim_selector="s1", dkim_key=pem(RSA))
    signer = Signer("shop.example", "s1", pem(RSA))
    shown = f"{adapter!r} {adapter} {signer!r} {vars(signer)!r}"
    assert not any(line in shown for line in pem(RSA).splitlines())

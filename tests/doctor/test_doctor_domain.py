"""The examination of the sender's domain, by answers as data; nothing asks the network."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tests.doctor.scene import RELAY, Answers, Shop, grades, said
from treue.doctor.published import public_key

SPF = {"shop.de": ["google-site-verification=x", "v=spf1 include:relay.example -all"]}
DMARC = {"_dmarc.shop.de": ["v=DMARC1; p=quarantine; rua=mailto:dmarc@shop.de"]}
ELSEWHERE = "email: {adapter: resend, api_key: '${RESEND_KEY}'}"


def _of(shop: Shop, word: str) -> list[tuple[str, str]]:
    """Return grade and text of the findings about one kind of record."""
    return [
        (one.grade.value, f"{one.sentence} {one.remedy}") for one in shop.found("DNS") if word in one.sentence
    ]


@pytest.mark.parametrize(
    ("records", "grade"),
    [
        (["v=spf1 include:relay.example -all"], "well"),
        (["v=spf1 redirect=_spf.shop.de"], "well"),
        (["v=spf1 a:all.example ~all", "something else"], "well"),
        ([], "wrong"),
        (["v=spf10 -all"], "wrong"),
        (["v=spf1 -all", "v=spf1 mx -all"], "wrong"),
        (["v=spf1 mx +all"], "wrong"),
        (["v=spf1 mx all"], "wrong"),
    ],
)
def test_spf(shop: Shop, records: list[str], grade: str) -> None:
    shop.resolver = Answers({"shop.de": records})
    assert [one[0] for one in _of(shop, "SPF")] == [grade]


def test_spf_counts_at_the_domain_of_the_return_path(shop: Shop) -> None:
    shop.write(sender=", bounces: b.shop.de")
    shop.resolver = Answers(SPF)
    ((grade, told),) = _of(shop, "SPF")
    assert grade == "wrong"
    assert "b.shop.de has no SPF record" in told


def test_without_spf_a_provider_with_its_own_return_path_is_a_warning(shop: Shop) -> None:
    shop.write(ELSEWHERE)
    assert [one[0] for one in _of(shop, "SPF")] == ["warning"]


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


RSA = rsa.generate_private_key(65537, 2048)
RSA_RECORD = (
    "v=DKIM1; k=rsa; p="
    + b64encode(
        RSA.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).decode()
)
ED = ed25519.Ed25519PrivateKey.generate()
ED_RECORD = f"v=DKIM1; k=ed25519; p={b64encode(ED.public_key().public_bytes_raw()).decode()}"


@pytest.fixture
def signing(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop that signs its mails with an RSA key in a file."""
    path = tmp_path / "dkim.pem"
    path.write_bytes(_pem(RSA))
    monkeypatch.setenv("DKIM_KEY", str(path))
    return shop.write(
        RELAY.replace("}'}", "}', dkim_domain: shop.de, dkim_selector: s1, dkim_key: '${DKIM_KEY}'}")
    )


@pytest.mark.parametrize(
    ("records", "grade", "told"),
    [
        ([RSA_RECORD], "well", "stands at s1._domainkey.shop.de"),
        ([RSA_RECORD.replace("; ", ";").replace("p=MIIB", "p= MI IB")], "well", "stands at"),
        ([f"t=y; {RSA_RECORD}"], "warning", "as a test"),
        ([], "wrong", RSA_RECORD),
        (["v=DKIM1; p="], "wrong", "is revoked"),
        ([ED_RECORD], "wrong", "not the one mails are signed with"),
        ([RSA_RECORD, ED_RECORD], "wrong", "There are 2 DKIM keys"),
    ],
)
def test_dkim(signing: Shop, records: list[str], grade: str, told: str) -> None:
    signing.resolver = Answers({"s1._domainkey.shop.de": records})
    ((found, text),) = _of(signing, "DKIM")
    assert found == grade
    assert told in text


def test_mails_signed_for_another_domain_are_a_warning(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DKIM_KEY", _pem(ED).decode())
    options = "dkim_domain: other.de, dkim_selector: s1, dkim_key: '${DKIM_KEY}'"
    shop.write(RELAY.replace("}'}", f"}}', {options}}}"))
    shop.resolver = Answers({"s1._domainkey.other.de": [ED_RECORD]})
    assert "Mails from shop.de are signed for other.de" in said(shop.found("DNS"))
    assert [one[0] for one in _of(shop, "DKIM")] == ["well"]


def test_unsigned_mails_over_a_relay_are_a_warning_and_a_provider_signs_by_itself(shop: Shop) -> None:
    assert [one[0] for one in _of(shop, "DKIM")] == ["warning"]
    assert _of(shop.write(ELSEWHERE), "DKIM") == []


def test_the_record_to_publish_is_the_public_half_of_the_key() -> None:
    assert public_key(_pem(ED).decode()) == ED_RECORD
    assert public_key(_pem(RSA).decode()) == RSA_RECORD
    assert public_key("/not/there.pem") == ""
    assert public_key("-----BEGIN nonsense") == ""


@pytest.mark.parametrize(
    ("texts", "grade"),
    [
        (DMARC, "well"),
        ({"_dmarc.shop.de": ["v=DMARC1;p=none"]}, "well"),
        ({}, "warning"),
        ({"_dmarc.shop.de": ["v=DMARC1; rua=mailto:a@shop.de"]}, "wrong"),
        ({"_dmarc.shop.de": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "wrong"),
    ],
)
def test_dmarc(shop: Shop, texts: dict[str, list[str]], grade: str) -> None:
    shop.resolver = Answers(texts)
    assert [one[0] for one in _of(shop, "DMARC")] == [grade]


def test_a_domain_above_may_have_the_dmarc_record_and_the_top_is_never_asked(shop: Shop) -> None:
    shop.write(email="hello@news.mail.shop.de")
    shop.resolver = Answers(DMARC)
    ((grade, text),) = _of(shop, "DMARC")
    assert (grade, "shop.de has a DMARC record with the policy quarantine" in text) == ("well", True)
    shop.write(email="hello@news.shop.fr")
    _of(shop, "DMARC")
    assert "_dmarc.shop.fr" in shop.resolver.asked
    assert "_dmarc.fr" not in shop.resolver.asked


@pytest.mark.parametrize(
    ("servers", "grade", "told"),
    [
        (["mx.shop.de.", "mx2.shop.de."], "well", "Mails that come back to b.shop.de go to mx.shop.de."),
        ([], "wrong", "no mail server (MX)"),
        (["."], "wrong", "no mail server (MX)"),
    ],
)
def test_mails_that_come_back_need_a_server(shop: Shop, servers: list[str], grade: str, told: str) -> None:
    shop.write(sender=", bounces: b.shop.de")
    shop.resolver = Answers(servers={"b.shop.de": servers})
    assert [one[0] for one in _of(shop, told)] == [grade]


def test_no_mx_is_asked_for_where_no_domain_for_bounces_is_named(shop: Shop) -> None:
    shop.resolver = Answers(SPF | DMARC)
    assert grades(shop.found("DNS")) == ["well", "warning", "well"]


def test_a_dns_that_cannot_be_asked_is_a_warning_for_each_question(shop: Shop) -> None:
    shop.write(sender=", bounces: b.shop.de")
    shop.resolver = Answers(silent=True)
    found = shop.found("DNS")
    assert grades(found) == ["warning"] * 4
    assert said(found).count("could not be asked for") == 3
    assert "SPF of shop.de: no name server answered within 5 seconds" in said(found)


@pytest.mark.parametrize("email", ["hello@shop.example", "hello@example.com"])
def test_a_domain_nobody_can_have_is_not_asked_for(shop: Shop, email: str) -> None:
    shop.write(email=email)
    assert grades(shop.found("DNS")) == ["well"]
    assert shop.resolver.asked == []


def test_nothing_is_asked_where_no_mail_leaves(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_URL")
    assert grades(shop.found("DNS")) == ["well"]
    assert shop.resolver.asked == []

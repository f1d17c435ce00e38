"""Several records of one mailbox or telephone: who says stop through one of them has said it for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.engine.scene import Scene
from treue.channel import DeliveryEvent, DeliveryEventKind
from treue.delivery import receipts
from treue.insight.why import CustomerInquiry
from treue.model.tables import consent, customer, opt_out, suppression
from treue.segments.sql import Moment, members
from treue.store import consents, customer_view, customers
from treue.store.erasures import Erasures
from treue.store.inputs import ConsentInput, CustomerInput
from treue.vocabulary.conditions.consent.word import HasConsent
from treue.vocabulary.conditions.reachable.word import Reachable

KIND = DeliveryEventKind
ERASURES = Erasures(b"a" * 32)
MARKETING = "enter: {event: order.placed, again: always}\nsteps: [{send: news, on: CHANNEL}]\n"
PAPERS = "category: transactional\n" + MARKETING.replace("news", "invoice")


@pytest.fixture
def twins(scene: Scene) -> Scene:
    """Two records of one mailbox, in two spellings, both of which agreed a day ago, and one of another."""
    scene.journeys(news=MARKETING.replace("CHANNEL", "email"))
    scene.customer("one", email="twin@example.com", phone="+4915100000001")
    scene.customer("two", email="Twin@Example.com", phone="+4915100000002")
    scene.customer("other", phone="+4915100000003")
    scene.now += timedelta(days=1)
    return scene


def _withdraw(scene: Scene, key: str, channel: str = "email", **values: Any) -> None:
    with scene.store.transaction() as connection:
        consents.withdraw(
            connection, [ConsentInput(key, channel, source="unsubscribe link", **values)], scene.now
        )


def _agree(scene: Scene, key: str, channel: str = "email", **values: Any) -> None:
    with scene.store.transaction() as connection:
        consents.give(connection, [ConsentInput(key, channel, source="form", **values)], scene.now)


def _tell(scene: Scene, channel: str, kind: KIND, address: str) -> None:
    with scene.store.transaction() as connection:
        event = DeliveryEvent(f"{kind}-{address}-{scene.now}", kind, scene.now, address=address)
        receipts.take(connection, channel, [event], scene.now)


def _written_to(scene: Scene, *keys: str) -> dict[str, str]:
    """Let something happen to the customers; return what became of each one's message."""
    scene.now += timedelta(hours=1)
    for key in keys:
        scene.event(key, "order.placed", total=1)
    before = len(scene.messages())
    scene.run()
    return {row[0]: row[4] or row[3] for row in scene.messages()[before:]}


def _members(scene: Scene, leaf: Any) -> set[str]:
    with scene.store.reading() as connection:
        found = connection.scalars(members(leaf, Moment(scene.now, "UTC"), connection.dialect.name)).all()
        return set(connection.scalars(select(customer.c.key).where(customer.c.id.in_(found))))


def test_who_unsubscribes_through_one_record_gets_nothing_through_another(twins: Scene) -> None:
    before = {"one": "sent", "two": "same_mailbox", "other": "sent"}
    assert _written_to(twins, "one", "two", "other") == before
    _withdraw(twins, "one")
    assert _written_to(twins, "one", "two", "other") == {
        "one": "unsubscribed", "two": "unsubscribed", "other": "sent",
    }  # fmt: skip


def test_a_message_that_waits_in_the_outbox_meanwhile_is_refused(twins: Scene) -> None:
    twins.event("two", "order.placed", total=1)
    twins.delivery.channels = {}
    twins.run()
    _withdraw(twins, "one")
    twins.delivery.channels = twins.channels
    twins.later(minutes=1)
    assert twins.templates() == []


def test_invoices_still_go(twins: Scene) -> None:
    _withdraw(twins, "one")
    twins.journeys(papers=PAPERS.replace("CHANNEL", "email"))
    assert _written_to(twins, "one", "two") == {"one": "sent", "two": "sent"}


def test_conditions_know_it_and_say_why(twins: Scene) -> None:
    assert _members(twins, HasConsent("email")) == {"one", "two", "other"}
    _withdraw(twins, "one")
    assert _members(twins, HasConsent("email")) == {"other"}
    assert _members(twins, Reachable("email")) == {"other"}
    assert _members(twins, HasConsent("sms")) == set()
    with twins.store.reading() as connection:
        two = customers.find(connection, "two")
        assert two is not None
        inquiry = CustomerInquiry(connection, two["id"], "UTC", twins.now)
        texts = [inquiry.look(leaf, twins.now).text for leaf in (HasConsent("email"), Reachable("email"))]
    assert texts == [
        "has agreed to email: no, the address unsubscribed 2026-03-03 09:00",
        "reachable on email: no: the address unsubscribed 2026-03-03 09:00",
    ]


def test_before_it_was_said_it_was_not_so(twins: Scene) -> None:
    _withdraw(twins, "one")
    twins.now -= timedelta(hours=1)
    assert _members(twins, HasConsent("email")) == {"two", "other"}


def test_why_and_the_customers_page_name_the_record_through_which_it_was_said(twins: Scene) -> None:
    _withdraw(twins, "one")
    _written_to(twins, "one", "two")
    with twins.store.reading() as connection:
        ids = customers.ids_for_keys(connection, ["one", "two"])
        trails = {
            key: CustomerInquiry(connection, id_, "UTC", twins.now).trail("news") for key, id_ in ids.items()
        }
        seen = customer_view.view(connection, "two")["addresses"]["email"]
    sentences = {
        key: [e.reason_sentence for e in trail if e.decision == "refused"] for key, trail in trails.items()
    }
    assert sentences == {
        "one": ["the customer unsubscribed"],
        "two": [
            "the address unsubscribed 2026-03-03 09:00, through customer one, who has it too (unsubscribe link)"
        ],
    }
    assert seen["unsubscribed"] == {
        "since": "2026-03-03T09:00:00Z", "source": "unsubscribe link", "customer": "one",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@münchen.example", "ADA@XN--MNCHEN-3YA.example"),
        ("Ädä@example.com", "äDÄ@EXAMPLE.com"),
        (" ada@example.com ", "ada@Example.COM"),
    ],
)
def test_two_spellings_of_one_mailbox_are_one(scene: Scene, first: str, second: str) -> None:
    scene.journeys(news=MARKETING.replace("CHANNEL", "email"))
    scene.customer("one", email=first)
    scene.customer("two", email=second)
    scene.now += timedelta(hours=1)
    _withdraw(scene, "one")
    assert _written_to(scene, "two") == {"two": "unsubscribed"}


@pytest.mark.parametrize("address", ["twin+shop@example.com", "t.win@example.com", "twin@example.org"])
def test_another_mailbox_is_another_though_some_provider_would_deliver_to_the_same(
    twins: Scene, address: str
) -> None:
    twins.customer("three", email=address)
    _withdraw(twins, "one")
    assert _written_to(twins, "three") == {"three": "sent"}


def test_who_gets_the_address_later_gets_no_marketing_there_and_at_another_address_what_they_agreed_to(
    twins: Scene,
) -> None:
    _withdraw(twins, "one")

    def move(key: str, email: str) -> None:
        with twins.store.transaction() as connection:
            customers.upsert(connection, [CustomerInput(key, email=email)], twins.now)

    move("other", "TWIN@example.com")
    assert _written_to(twins, "other") == {"other": "unsubscribed"}
    move("other", "other@example.com")
    move("one", "new@example.com")
    assert _written_to(twins, "other", "one") == {"other": "sent", "one": "unsubscribed"}


def test_the_address_stays_silent_when_the_record_that_said_it_has_gone_to_another(twins: Scene) -> None:
    _withdraw(twins, "one")
    with twins.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("one", email="new@example.com")], twins.now)
    assert _written_to(twins, "two") == {"two": "unsubscribed"}


def test_a_later_consent_of_any_record_lifts_it_and_an_older_one_does_not(twins: Scene) -> None:
    _withdraw(twins, "one")
    _agree(twins, "two", at=twins.now - timedelta(minutes=1))
    assert _written_to(twins, "two") == {"two": "unsubscribed"}
    _agree(twins, "two")
    assert _written_to(twins, "one", "two") == {"one": "unsubscribed", "two": "sent"}
    _agree(twins, "one")
    _withdraw(twins, "two")
    assert _written_to(twins, "one", "two") == {"one": "unsubscribed", "two": "unsubscribed"}


def test_the_same_consent_once_more_lifts_it_too(twins: Scene) -> None:
    _agree(twins, "two", proof={"wording": "Ja"})
    twins.now += timedelta(minutes=1)
    _withdraw(twins, "one")
    twins.now += timedelta(minutes=1)
    _agree(twins, "two", proof={"wording": "Ja"})
    assert _written_to(twins, "two") == {"two": "sent"}


def test_in_whatever_order_words_arrive_the_latest_stands(twins: Scene) -> None:
    later = twins.now + timedelta(minutes=2)
    twins.now += timedelta(minutes=5)
    _agree(twins, "two", at=later)
    _withdraw(twins, "one", at=later - timedelta(minutes=1))
    assert _written_to(twins, "two") == {"two": "sent"}
    _withdraw(twins, "one", at=later)
    assert _written_to(twins, "two") == {"two": "unsubscribed"}


def test_a_new_record_of_an_existing_customer_gets_no_marketing_either(twins: Scene) -> None:
    _withdraw(twins, "one")
    twins.now += timedelta(minutes=1)
    twins.customer("three", consent="", email="twin@example.com")
    facts = dict.fromkeys(consents.EXISTING_CUSTOMER_FACTS, "yes")
    _agree(twins, "three", basis="existing_customer", proof=facts)
    twins.journeys(
        news="category: promotional\nbasis: existing_customer\n" + MARKETING.replace("CHANNEL", "email")
    )
    assert _written_to(twins, "three") == {"three": "unsubscribed"}


def test_an_undated_consent_counts_only_where_the_address_has_said_nothing(twins: Scene) -> None:
    _withdraw(twins, "one")
    twins.now += timedelta(minutes=1)
    twins.customer("three", consent="", email="twin@example.com")
    words = [ConsentInput(key, "email", source="import") for key in ("three", "other")]
    with twins.store.transaction() as connection:
        assert consents.untold(connection, words) == []
        twins_new = [ConsentInput("other", "sms", source="import", proof={"file": "x"})]
        (kept,) = consents.untold(connection, twins_new)
        consents.give(connection, [kept], twins.now)
    assert kept.proof == {"file": "x", "undated": True}
    _withdraw(twins, "other", "sms", at=twins.now - timedelta(days=3))
    assert _members(twins, Reachable("sms")) == set()


def test_stop_ends_sms_to_the_number_for_every_record_that_has_it_or_gets_it(scene: Scene) -> None:
    scene.journeys(news=MARKETING.replace("CHANNEL", "sms"))
    for key, phone in (
        ("one", "+49 151 23456789"),
        ("two", "0049 (0) 151 234-56789"),
        ("three", "+4915100000003"),
    ):
        scene.customer(key, consent="sms email", phone=phone)
    scene.now += timedelta(hours=1)
    _tell(scene, "sms", KIND.unsubscribed, "+4915123456789")
    _tell(scene, "sms", KIND.unsubscribed, "+4915100000099")
    scene.customer("four", consent="sms", phone="+4915123456789")
    with scene.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("three", phone="+4915100000099")], scene.now)
    outcome = _written_to(scene, "one", "two", "three")
    assert outcome == dict.fromkeys(("one", "two", "three"), "unsubscribed")
    assert _members(scene, HasConsent("email")) == {"one", "two", "three"}


def test_a_complaint_is_lifted_by_no_consent(twins: Scene) -> None:
    _tell(twins, "email", KIND.complained, "twin@example.com")
    twins.now += timedelta(minutes=1)
    _agree(twins, "two")
    assert _written_to(twins, "one", "two") == {"one": "suppressed", "two": "suppressed"}


def test_nor_is_a_dead_address(twins: Scene) -> None:
    with twins.store.transaction() as connection:
        event = DeliveryEvent(
            "b", KIND.bounced, twins.now, address="TWIN@example.com", hard=True, status="5.1.1"
        )
        receipts.take(connection, "email", [event], twins.now)
    twins.now += timedelta(minutes=1)
    _agree(twins, "two")
    assert _written_to(twins, "one", "two") == {"one": "suppressed", "two": "suppressed"}


def test_erasing_one_record_of_a_mailbox_silences_marketing_to_it(twins: Scene) -> None:
    _withdraw(twins, "one")
    with twins.store.transaction() as connection:
        ERASURES.erase(connection, "one", twins.now)
    twins.now += timedelta(minutes=1)
    _agree(twins, "two")
    assert _members(twins, Reachable("email")) == {"other"}
    assert _written_to(twins, "two", "other") == {"two": "suppressed", "other": "sent"}
    twins.journeys(papers=PAPERS.replace("CHANNEL", "email"))
    assert _written_to(twins, "two") == {"two": "sent"}
    with twins.store.transaction() as connection:
        ERASURES.erase(connection, "two", twins.now)
        assert (
            connection.execute(select(suppression)).all() == connection.execute(select(opt_out)).all() == []
        )
        assert ERASURES.among(connection, "email", ["Twin@example.com"]) == {"Twin@example.com": "marketing"}


def test_a_former_address_that_said_stop_becomes_a_hash_too(twins: Scene) -> None:
    _withdraw(twins, "other")
    with twins.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("other", email="new@example.com")], twins.now)
        assert ERASURES.erase(connection, "other", twins.now) == 4
        assert connection.execute(select(opt_out)).all() == []
        found = ERASURES.among(
            connection, "email", ["other@example.com", "new@example.com", "twin@example.com"]
        )
    assert found == {"other@example.com": "marketing", "new@example.com": "marketing"}


def test_an_opt_out_on_one_channel_touches_no_other(
    twins: Scene,
) -> None:
    _withdraw(twins, "one", "push")
    with twins.store.reading() as connection:
        rows = connection.execute(select(opt_out.c.channel, opt_out.c.address)).all()
        assert [tuple(row) for row in rows] == [("push", "token-one")]
        assert (
            connection.scalars(select(consent.c.given).where(consent.c.channel == "email")).all()
            == [True] * 3
        )


def test_a_push_token_too_long_for_an_index_opts_out_like_any_other(scene: Scene) -> None:
    scene.journeys(news=MARKETING.replace("CHANNEL", "push"))
    token = "".join(chr(33 + n * 7919 % 90) for n in range(4_000))
    scene.customer("one", consent="push", push_token=token)
    scene.customer("two", consent="push")
    scene.now += timedelta(hours=1)
    _withdraw(scene, "one", "push")
    with scene.store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("two", push_token=token)], scene.now)
    assert _written_to(scene, "two") == {"two": "unsubscribed"}

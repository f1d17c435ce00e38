"""The contract of a channel adapter, as tests that use nothing but the port.

Inherit, and supply a channel whose provider says yes:

    class TestMyAdapter(ChannelContract):
        secrets = ("the-api-key",)

        @pytest.fixture
        def channel(self, provider):
            adapter = MyAdapter(url=provider.url, key="the-api-key")
            yield adapter
            adapter.close()

        @pytest.fixture
        def unreachable(self):
            return MyAdapter(url="http://127.0.0.1:9", key="the-api-key")

        def refused_message(self):
            return replace(self.message(0), to="what the provider refuses for good")

Where an adapter cannot be unreachable, or refuses nothing, leave that hook out; its tests are skipped by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from treue.channel import (
    Accepted,
    Capabilities,
    Channel,
    Kind,
    Mail,
    Mailbox,
    Outgoing,
    Receipt,
    Refused,
    Retry,
    Unknown,
    served_kinds,
)


@dataclass
class Log:
    """A `Progress` that remembers what it was told, in order; `taken` are messages that it does not let go out."""

    taken: frozenset[str] = frozenset()
    calls: list[tuple[str, str]] = field(default_factory=list)
    receipts: dict[str, Receipt] = field(default_factory=dict)

    def started(self, key: str) -> bool:
        """Note the start."""
        self.calls.append(("started", key))
        return key not in self.taken

    def settled(self, key: str, receipt: Receipt) -> None:
        """Note the answer."""
        self.calls.append(("settled", key))
        self.receipts[key] = receipt

    def of(self, key: str) -> list[str]:
        """Return what was said of one message, in order."""
        return [what for what, about in self.calls if about == key]


def example_message(kind: Kind, number: int) -> Outgoing:
    """Return a harmless message; equal numbers give equal messages, keys included."""
    key = f"contract-{number}"
    if kind == "email":
        to, sender = f"customer{number}@example.com", "bounces@example.com"
        lines = (
            f"From: Shop <{sender}>",
            f"To: {to}",
            f"Subject: Message {number}",
            f"Message-ID: <{key}@example.com>",
            "Date: Sun, 22 Nov 2026 09:00:00 +0000",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
            "",
            "Hello.",
            "",
        )
        mail = Mail(
            sender=Mailbox("Shop", sender),
            to=Mailbox(f"Customer {number}", to),
            subject=f"Message {number}",
            text="Hello.\n",
            html="<p>Hello.</p>",
            headers=(("List-Unsubscribe", f"<https://example.com/u/{number}>"),),
        )
        tags = {"journey": "welcome", "template": "hello", "category": "promotional"}
        return Outgoing(key, to, sender=sender, raw="\r\n".join(lines).encode(), mail=mail, tags=tags)
    if kind == "sms":
        return Outgoing(key, f"+4915110000{number:03d}", sender="Shop", text=f"Message {number}")
    return Outgoing(
        key, f"token-{number}", text=f"Message {number}", title="Shop", link="https://example.com/"
    )


class ChannelContract:
    """What every adapter keeps. Supply the fixture `channel`; see the module for the other hooks."""

    secrets: ClassVar[tuple[str, ...]] = ()
    """Texts, such as the password, that no reason and no `repr` may show."""

    @pytest.fixture
    def channel(self) -> Any:
        """Return the adapter, connected to a provider that accepts `message(n)` for every n."""
        raise NotImplementedError("An adapter's tests supply the fixture `channel`.")

    @pytest.fixture
    def unreachable(self) -> Any:
        """Return the adapter with the same secrets and a provider that cannot be reached."""
        pytest.skip("this adapter has no provider that could be unreachable")

    def message(self, number: int, kind: Kind = "email") -> Outgoing:
        """Return a message that the provider accepts."""
        return example_message(kind, number)

    def refused_message(self) -> Outgoing | None:
        """Return a message that the provider refuses for good, or None where it refuses nothing."""
        return None

    def objections(self, channel: Channel, request: pytest.FixtureRequest) -> Iterator[str]:
        """Let the provider object to what is ours in one way after the other, and yield each in words.

        The sender, the account, its sandbox, a template: while one is yielded, a message is sent that the provider would
        else accept.
        """
        pytest.skip("this adapter's provider knows no senders and no accounts")

    def batch(self, channel: Channel, count: int) -> list[Outgoing]:
        """Return so many messages of the adapter's kind, each in the one form in which it is handed over."""
        can = channel.capabilities
        return [handed_over(self.message(number, can.kind), can) for number in range(count)]

    def test_it_says_what_it_can_do(self, channel: Channel) -> None:
        """Capabilities are declared, and plausible."""
        assert isinstance(channel, Channel)
        assert channel.capabilities.kind in ("email", "sms", "push", "webhook")
        assert channel.capabilities.batch >= 1
        assert channel.capabilities.dedup_window >= 0

    def test_its_class_says_so_too_without_credentials(self, channel: Channel) -> None:
        """The feature matrix is made of what the classes declare."""
        declared = getattr(type(channel), "capabilities", None)
        assert isinstance(declared, Capabilities), "declare `capabilities = Capabilities(...)` on the class"
        assert channel.capabilities.kind in served_kinds(type(channel))
        assert replace(channel.capabilities, kind=declared.kind) == declared
        assert declared.address, "say in `address` what a customer must have"

    def test_every_message_of_a_batch_is_accepted_with_one_receipt_each(self, channel: Channel) -> None:
        """As many receipts as messages."""
        receipts = channel.send(self.batch(channel, 5), Log())
        assert [type(receipt) for receipt in receipts] == [Accepted] * 5

    def test_an_empty_batch_has_no_receipts(self, channel: Channel) -> None:
        """Nothing in, nothing out."""
        log = Log()
        assert channel.send([], log) == []
        assert log.calls == []

    def test_a_refused_message_gets_its_own_receipt_and_does_not_stop_the_batch(
        self, channel: Channel
    ) -> None:
        """Receipts come in the order of the messages, whatever became of each."""
        refused = self.refused_message()
        if refused is None:
            pytest.skip("this adapter's provider refuses nothing")
        first, second, third = self.batch(channel, 3)
        receipts = channel.send([first, refused, second, refused, third], Log())
        assert [type(r) for r in receipts] == [Accepted, Refused, Accepted, Refused, Accepted]

    def test_progress_hears_of_every_message_before_and_after(self, channel: Channel) -> None:
        """`started` once, then `settled` once, with the receipt that is returned."""
        log, batch = Log(), self.batch(channel, 4)
        receipts = channel.send(batch, log)
        assert [log.of(message.key) for message in batch] == [["started", "settled"]] * 4
        assert [log.receipts[message.key] for message in batch] == receipts

    def test_progress_hears_of_the_messages_in_their_order(self, channel: Channel) -> None:
        """They go on the wire as they stand in the batch; what became of each is told as soon as it is known."""
        log, batch = Log(), self.batch(channel, 4)
        channel.send(batch, log)
        assert [key for said, key in log.calls if said == "started"] == [message.key for message in batch]

    def test_what_is_another_workers_by_now_is_not_sent(self, channel: Channel) -> None:
        """A worker that slept past its lease must not send what another may have sent."""
        batch = self.batch(channel, 3)
        log = Log(taken=frozenset({batch[1].key}))
        receipts = channel.send(batch, log)
        assert [type(receipt) for receipt in receipts] == [Accepted, Retry, Accepted]
        assert log.of(batch[1].key).count("settled") == 1

    def test_a_refused_message_is_settled_too(self, channel: Channel) -> None:
        """No message stays open in the acceptance log."""
        refused = self.refused_message()
        if refused is None:
            pytest.skip("this adapter's provider refuses nothing")
        log = Log()
        receipts = channel.send([refused], log)
        assert log.of(refused.key)[-1:] == ["settled"]
        assert log.of(refused.key).count("settled") == 1
        assert [log.receipts[refused.key]] == receipts

    def test_what_is_said_of_our_sender_or_account_refuses_nobody(
        self, channel: Channel, request: pytest.FixtureRequest
    ) -> None:
        """It is `Retry` with `ours`: no customer is suppressed or given up for it, and the words are kept."""
        told = 0
        for words in self.objections(channel, request):
            (receipt,) = channel.send(self.batch(channel, 1), Log())
            assert isinstance(receipt, Retry), words
            assert receipt.ours, words
            assert receipt.after >= 60, words
            assert receipt.reason, words
            told += 1
        assert told, "name some in `objections`"

    def test_a_message_sent_again_inside_the_window_is_accepted_as_the_same_one(
        self, channel: Channel
    ) -> None:
        """A provider that honours keys gives the same answer to the same key."""
        if not channel.capabilities.dedup_window:
            pytest.skip("this adapter's provider does not honour keys")
        batch = self.batch(channel, 2)
        first, again = channel.send(batch, Log()), channel.send(batch, Log())
        for one, other in zip(first, again, strict=True):
            assert isinstance(one, Accepted)
            assert isinstance(other, Accepted)
            assert other.provider_id in (one.provider_id, "")  # some say no more than that they have it

    @pytest.mark.parametrize(
        "to", ["", "a\r\nb", "a@example.com\r\nRCPT TO:<b@example.com>", "a\0b", "a\x85b"]
    )
    def test_a_hostile_recipient_is_refused(self, channel: Channel, to: str) -> None:
        """A line break in an address must not become a second command, header or recipient."""
        hostile = replace(self.message(0, channel.capabilities.kind), to=to)
        following = self.message(1, channel.capabilities.kind)
        receipts = channel.send([hostile, following], Log())
        assert [type(receipt) for receipt in receipts] == [Refused, Accepted]

    def test_an_unreachable_provider_costs_a_retry_each_and_no_exception(self, unreachable: Channel) -> None:
        """What was never sent is certain not to have been."""
        log, batch = Log(), self.batch(unreachable, 3)
        receipts = unreachable.send(batch, log)
        unreachable.close()
        assert [type(receipt) for receipt in receipts] == [Retry] * 3
        assert [log.of(message.key).count("settled") for message in batch] == [1, 1, 1]

    def test_no_secret_is_in_a_reason_or_in_the_adapters_own_description(self, unreachable: Channel) -> None:
        """Reasons end in logs, traces and the console."""
        receipts = unreachable.send(self.batch(unreachable, 2), Log())
        shown = " ".join([*reasons(receipts), repr(unreachable), str(unreachable)])
        assert reasons(receipts)
        assert [secret for secret in self.secrets if secret in shown] == []

    def test_closing_twice_is_fine(self, channel: Channel) -> None:
        """Also where nothing has been sent."""
        channel.close()
        channel.close()

    def test_it_sends_again_after_it_was_closed(self, channel: Channel) -> None:
        """Closing lets go of connections, not of the adapter."""
        batch = self.batch(channel, 2)
        first = channel.send(batch[:1], Log())
        channel.close()
        second = channel.send(batch[1:], Log())
        assert [type(receipt) for receipt in first + second] == [Accepted, Accepted]


def handed_over(message: Outgoing, can: Capabilities) -> Outgoing:
    """Return an e-mail either whole or in its parts, as a channel wants it; other messages as they are."""
    if message.mail is None:
        return message
    return replace(message, mail=None) if can.mime else replace(message, raw=b"")


def reasons(receipts: Sequence[Receipt]) -> list[str]:
    """Return the reasons of all receipts that have one."""
    return [receipt.reason for receipt in receipts if isinstance(receipt, Retry | Refused | Unknown)]

"""The contract of an adapter to a provider's HTTP API: what `ChannelContract` asks, and what goes wrong on the way.

Inherit, and supply the provider and the adapter:

    class TestMyAdapter(HttpChannelContract):
        secrets = ("the-api-key",)

        @pytest.fixture
        def provider(self):
            with MyProvider(key="the-api-key") as running:   # a treue.testing.provider_server.ProviderServer
                yield running

        def adapter(self, url, **options):
            return MyAdapter(api_key="the-api-key", url=url, **options)

        def stranger(self, url):
            return MyAdapter(api_key="another-key", url=url)

        answers_about_us = (Reply.json({"error": "this sender is not verified"}, 403),)

An adapter whose provider calls back inherits `CallbackContract` as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest

from treue.channel import Accepted, Channel, Outgoing, Receipt, Refused, Retry, Unknown
from treue.clock import utc_now
from treue.testing.channel_contract import ChannelContract, Log, reasons
from treue.testing.provider_server import Mishap, ProviderServer, Reply

NOBODY = "http://127.0.0.1:9"
"""Where nobody listens: the port of the discard protocol, which no machine serves any more."""


SEVERAL = (
    "a@example.com,b@example.com", "a@example.com b@example.com", "a@example.com;b@example.com", "A <a@example.com>",
    "a@example.com@b.example", '"a b"@example.com', "a@", "@example.com", "a" * 300 + "@example.com",
)  # fmt: skip
"""What is not one e-mail address."""


class HttpChannelContract(ChannelContract):
    """What every adapter to an HTTP API keeps. Supply `provider`, `adapter` and `stranger`; see the module."""

    answers_about_us: ClassVar[Sequence[Reply]] = (Reply(401), Reply(402), Reply(403))
    """What the provider answers, by its documentation, where the sender, the account, its sandbox or a template is at
    fault: word for word, to a request with one message."""

    @pytest.fixture
    def provider(self) -> Any:
        """Return the provider, running."""
        raise NotImplementedError("An adapter's tests supply the fixture `provider`.")

    def adapter(self, url: str, **options: Any) -> Any:
        """Return the adapter with the right key for the provider at `url`; `timeout` is the only option used."""
        raise NotImplementedError("An adapter's tests supply `adapter`.")

    def stranger(self, url: str) -> Any:
        """Return the adapter with a key that the provider does not know."""
        raise NotImplementedError("An adapter's tests supply `stranger`.")

    def slow_down(self, wait: str) -> Reply:
        """Return the provider's answer to too many requests; `wait` is what Retry-After says."""
        return Reply(429, {"Retry-After": wait})

    def broken(self) -> Reply:
        """Return the provider's answer when it fails."""
        return Reply(500, {}, b"<html>Internal Server Error</html>")

    def objections(self, channel: Channel, request: pytest.FixtureRequest) -> Iterator[str]:
        """Answer by each of `answers_about_us`."""
        provider = request.getfixturevalue("provider")
        for answer in self.answers_about_us:
            provider.always(answer)
            yield f"{answer.status} {answer.body.decode()}"

    @pytest.fixture
    def channel(self, provider: ProviderServer) -> Iterator[Any]:
        """Return the adapter, connected."""
        adapter = self.adapter(provider.url)
        yield adapter
        adapter.close()

    @pytest.fixture
    def impatient(self, provider: ProviderServer) -> Iterator[Any]:
        """Return the adapter with a time-out that a test can wait for."""
        adapter = self.adapter(provider.url, timeout=0.2)
        yield adapter
        adapter.close()

    @pytest.fixture
    def unreachable(self) -> Any:
        """Return the adapter where nobody listens."""
        return self.adapter(NOBODY)

    def more_than_one_request(self, channel: Channel) -> list[Outgoing]:
        """Return messages that no single request takes, and not all requests side by side either."""
        can = channel.capabilities
        return self.batch(channel, can.batch * (can.at_once + 1) + 1)

    def test_more_messages_than_a_request_takes_go_by_several(
        self, channel: Channel, provider: ProviderServer
    ) -> None:
        """Each has its own receipt, in order, whichever request it went by."""
        log, batch = Log(), self.more_than_one_request(channel)
        receipts = channel.send(batch, log)
        assert {type(receipt) for receipt in receipts} == {Accepted}
        assert len(receipts) == len(batch)
        assert len(provider.asked) >= channel.capabilities.at_once + 2
        ids = [receipt.provider_id for receipt in receipts if isinstance(receipt, Accepted)]
        assert len(set(ids)) == len(batch)

    @pytest.mark.parametrize("as_date", [False, True])
    def test_a_provider_that_asks_for_a_pause_gets_it_from_everyone(
        self, channel: Channel, provider: ProviderServer, as_date: bool
    ) -> None:
        """429 with Retry-After, in seconds or as a date: certainly not sent, at least that long, the rest not tried."""
        until = format_datetime(utc_now() + timedelta(seconds=120), usegmt=True)
        provider.always(self.slow_down(until if as_date else "120"))
        log, batch = Log(), self.more_than_one_request(channel)
        receipts = channel.send(batch, log)
        assert all(isinstance(r, Retry) and r.everyone and 115 <= r.after <= 130 for r in receipts)
        assert len(provider.asked) <= channel.capabilities.at_once
        self.assert_all_settled(log, batch, receipts)

    def test_what_is_beyond_a_providers_limit_goes_once_the_pause_is_over(
        self, channel: Channel, provider: ProviderServer
    ) -> None:
        """Each message is accepted exactly once: some at once, all others later."""
        provider.most = 2
        log, batch = Log(), self.more_than_one_request(channel)
        receipts = channel.send(batch, log)
        assert any(isinstance(receipt, Accepted) for receipt in receipts)
        assert isinstance(receipts[-1], Retry)
        assert receipts[-1].everyone
        assert len(provider.asked) <= 2 + channel.capabilities.at_once
        self.assert_all_settled(log, batch, receipts)
        provider.most = None
        later = [one for one, receipt in zip(batch, receipts, strict=True) if isinstance(receipt, Retry)]
        assert {type(receipt) for receipt in channel.send(later, Log())} == {Accepted}

    def test_a_pause_without_end_ends_after_a_day(self, channel: Channel, provider: ProviderServer) -> None:
        """Whatever a provider says, a channel is not silent for ever by it."""
        for wait in ("99999999", "nonsense", "-5", "Sun, 06 Nov 2094 08:49:37 GMT", ""):
            provider.always(self.slow_down(wait))
            (receipt,) = channel.send(self.batch(channel, 1), Log())
            assert isinstance(receipt, Retry)
            assert receipt.everyone
            assert 0 <= receipt.after <= 86_400

    def test_messages_follow_once_the_pause_is_over(self, channel: Channel, provider: ProviderServer) -> None:
        """A pause belongs to the batch in which it was asked for; whoever calls again has waited."""
        provider.next(self.slow_down("1"))
        batch = self.batch(channel, 1)
        assert isinstance(channel.send(batch, Log())[0], Retry)
        assert isinstance(channel.send(batch, Log())[0], Accepted)

    def test_a_failing_provider_leaves_a_doubt(self, channel: Channel, provider: ProviderServer) -> None:
        """A 500 says nothing of whether the message was sent."""
        provider.next(self.broken())
        (receipt,) = channel.send(self.batch(channel, 1), Log())
        assert isinstance(receipt, Unknown)

    @pytest.mark.parametrize("mishap", list(Mishap))
    def test_a_request_without_an_answer_leaves_a_doubt(
        self, impatient: Channel, provider: ProviderServer, mishap: Mishap
    ) -> None:
        """The provider had read the message; it may have sent it."""
        provider.always(mishap)
        log, batch = Log(), self.batch(impatient, 1)
        receipts = impatient.send(batch, log)
        assert [type(receipt) for receipt in receipts] == [Unknown]
        self.assert_all_settled(log, batch, receipts)

    def test_a_silent_provider_is_left_alone_after_a_few_requests(
        self, impatient: Channel, provider: ProviderServer
    ) -> None:
        """Else every message of a batch would end in doubt, one time-out after the other."""
        provider.always(Mishap.silence)
        can = impatient.capabilities
        log, batch = Log(), self.batch(impatient, can.batch * (can.at_once + 4))
        receipts = impatient.send(batch, log)
        assert isinstance(receipts[0], Unknown)
        assert isinstance(receipts[-1], Retry)
        assert receipts[-1].everyone
        assert len(provider.asked) <= can.at_once + 3
        self.assert_all_settled(log, batch, receipts)

    def test_a_provider_that_went_away_has_got_nothing(
        self, channel: Channel, provider: ProviderServer
    ) -> None:
        """A connection that is refused is certain, also after others were made; the rest is not tried."""
        assert isinstance(channel.send(self.batch(channel, 1), Log())[0], Accepted)
        channel.close()
        provider.go_away()
        log, batch = Log(), self.more_than_one_request(channel)
        receipts = channel.send(batch, log)
        assert all(isinstance(receipt, Retry) and receipt.everyone for receipt in receipts)
        self.assert_all_settled(log, batch, receipts)

    def test_a_wrong_key_is_nobodys_fault_but_ours(self, provider: ProviderServer) -> None:
        """No message is refused for it: each goes once the key is right."""
        stranger = self.stranger(provider.url)
        log, batch = Log(), self.more_than_one_request(stranger)
        receipts = stranger.send(batch, log)
        stranger.close()
        assert all(isinstance(r, Retry) and r.everyone and r.after >= 60 for r in receipts)
        assert len(provider.asked) <= stranger.capabilities.at_once
        self.assert_all_settled(log, batch, receipts)

    @pytest.mark.parametrize("status", [400, 403, 422, 451, 499])
    def test_a_no_that_nobody_knows_suppresses_nobody(
        self, channel: Channel, provider: ProviderServer, status: int
    ) -> None:
        """Only what a provider documents of the recipient says that an address is dead."""
        provider.always(
            Reply.json({"message": "something new", "error": {"code": 99, "message": "x"}}, status)
        )
        receipts = channel.send(self.batch(channel, 3), Log())
        assert not any(isinstance(receipt, Accepted) for receipt in receipts)
        assert not any(isinstance(receipt, Refused) and receipt.suppress for receipt in receipts)

    def test_a_redirect_is_not_followed(self, channel: Channel, provider: ProviderServer) -> None:
        """It would carry the key to wherever it says."""
        provider.next(Reply(307, {"Location": provider.url + "/elsewhere"}))
        (receipt,) = channel.send(self.batch(channel, 1), Log())
        assert not isinstance(receipt, Accepted | Refused)
        assert len(provider.asked) == 1

    @pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
    @pytest.mark.parametrize(
        "body", [b"", b"null", b"[]", b"{}", b'"yes"', b"[" * 5_000, b"\xff\xfe", b'{"message": {"a": [1]}}']
    )
    def test_an_answer_that_makes_no_sense_costs_no_exception(
        self, channel: Channel, provider: ProviderServer, status: int, body: bytes
    ) -> None:
        """Proxies and load balancers answer for providers, too."""
        provider.always(Reply(status, {"Content-Type": "application/json"}, body))
        log, batch = Log(), self.batch(channel, 1)
        receipts = channel.send(batch, log)
        assert len(receipts) == 1
        assert status == 200 or not isinstance(receipts[0], Accepted)
        self.assert_all_settled(log, batch, receipts)

    @pytest.mark.parametrize("status", [400, 401, 403, 422, 429, 500, 503])
    def test_no_secret_that_a_provider_repeats_is_in_a_reason(
        self, channel: Channel, provider: ProviderServer, status: int
    ) -> None:
        """Some providers show the key they were given in what they answer."""
        words = "invalid key " + " ".join(self.secrets)
        provider.next(Reply.json({"message": words, "error": {"message": words}, "Message": words}, status))
        receipts = channel.send(self.batch(channel, 1), Log())
        shown = " ".join([*reasons(receipts), *map(repr, receipts), repr(channel)])
        assert [secret for secret in self.secrets if secret in shown] == []

    def test_the_key_is_not_sent_in_the_open(self) -> None:
        """Plain HTTP goes to this machine only."""
        with pytest.raises(Exception, match="https") as raised:
            self.adapter("http://api.example.com")
        assert [secret for secret in self.secrets if secret in str(raised.value)] == []

    @pytest.mark.parametrize(
        "url", ["", "api.example.com", "https://", "ftp://127.0.0.1", "http://[::1", "https://u:p@x.example"]
    )
    def test_an_address_that_is_none_is_said_to_be_wrong(self, url: str) -> None:
        """At the start, not at the first message."""
        with pytest.raises(Exception, match="url"):
            self.adapter(url)

    def test_several_addresses_are_not_one(self, channel: Channel) -> None:
        """A comma must not add a recipient, nor a name hide one."""
        if channel.capabilities.kind != "email":
            pytest.skip("this adapter sends no e-mail")
        for to in SEVERAL:
            hostile, following = replace(self.message(0), to=to), self.message(1)
            receipts = channel.send([hostile, following], Log())
            assert [type(receipt) for receipt in receipts] == [Refused, Accepted], to

    @staticmethod
    def assert_all_settled(log: Log, batch: Sequence[Outgoing], receipts: Sequence[Receipt]) -> None:
        """Assert that each message was settled once, with the receipt returned, and started at most once before."""
        assert len(receipts) == len(batch)
        assert [log.of(message.key) in (["settled"], ["started", "settled"]) for message in batch] == (
            [True] * len(batch)
        )
        assert [log.receipts[message.key] for message in batch] == list(receipts)

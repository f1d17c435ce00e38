"""The contract of reading a provider's callbacks: believe nothing that is not proven, and nothing twice.

Inherit, and supply the adapter, what the provider says, and how it proves that it is the provider:

    class TestMyCallbacks(CallbackContract):
        proof_header = "x-signature"
        covers_body = True

        @pytest.fixture
        def receiver(self):
            return MyAdapter(webhook_secret=SECRET, …)

        @pytest.fixture
        def without_secret(self):
            return MyAdapter(…)

        def documents(self):
            return [{"event": "delivered", "id": "1", …}, …]

        def callback(self, body, at):
            return Callback("POST", URL, {"x-signature": sign(body)}, body, at)
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from treue.channel import BadCallback, Callback, DeliveryEvent, DeliveryEventKind

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, "", "x" * 100_000, "\x00\ud800", "\ud800", [], {}, [[]], [None], {"a": {}}, ["x", {"y": 1}],
)  # fmt: skip


class CallbackContract:
    """What every reader of callbacks keeps. Supply `receiver`, `without_secret`, `documents` and `callback`."""

    proof_header: ClassVar[str] = ""
    """The header, in small letters, with the proof; for another place supply `unproven` and `forged`."""

    covers_body: ClassVar[bool] = False
    """Whether the proof is one of the body: then no bit of it can be changed."""

    covers_time: ClassVar[bool] = False
    """Whether the proof has a time, so that an old callback can be told."""

    tolerance: ClassVar[int] = 300
    """By how many seconds that time may differ from ours, either way."""

    secrets: ClassVar[tuple[str, ...]] = ()
    """Texts that no error may show."""

    @pytest.fixture
    def receiver(self) -> Any:
        """Return the adapter with its secret."""
        raise NotImplementedError("An adapter's tests supply the fixture `receiver`.")

    @pytest.fixture
    def without_secret(self) -> Any:
        """Return the adapter with no secret for callbacks."""
        raise NotImplementedError("An adapter's tests supply the fixture `without_secret`.")

    def documents(self) -> Sequence[Any]:
        """Return what the provider posts, one document a callback; each tells of an event, at NOW or before."""
        raise NotImplementedError("An adapter's tests supply `documents`.")

    def told_about_us(self) -> Sequence[Any]:
        """Return what the provider posts where it gave a message up for the sake of our sender or account."""
        return ()

    def unheard_of(self) -> Any:
        """Return what the provider posts of an event that came up after the adapter was written, or None."""
        return None

    def callback(self, body: bytes, at: datetime) -> Callback:
        """Return a genuine callback with that body, whatever is in it, signed and received `at` that time."""
        raise NotImplementedError("An adapter's tests supply `callback`.")

    def encoded(self, document: Any) -> bytes:
        """Return a document as the provider writes it."""
        return json.dumps(document).encode()

    def unproven(self, genuine: Callback) -> Callback:
        """Return a callback without any proof."""
        return replace(genuine, headers={k: v for k, v in genuine.headers.items() if k != self.proof_header})

    def forged(self, genuine: Callback) -> Iterator[Callback]:
        """Yield callbacks whose proof is wrong."""
        proof = genuine.headers[self.proof_header]
        for wrong in (
            "",
            "x",
            proof[:-4],
            proof + "AAAA",
            proof.swapcase(),
            "é",
            proof[:-6] + proof[-6:][::-1],
        ):
            if wrong != proof:
                yield replace(genuine, headers={**genuine.headers, self.proof_header: wrong})

    def genuine(self, n: int = 0) -> Callback:
        """Return the callback with document `n`."""
        return self.callback(self.encoded(self.documents()[n]), NOW)

    def test_it_reads_callbacks(self, receiver: Any) -> None:
        """The port has a method for it, and the capabilities say what is told."""
        assert callable(receiver.read_receipts)
        assert receiver.capabilities.callbacks

    def test_what_the_provider_says_is_read(self, receiver: Any) -> None:
        """Each document is at least one event, of a kind that was declared, in the past, with its raw words."""
        for n in range(len(self.documents())):
            events = receiver.read_receipts(self.genuine(n))
            assert events
            for event in events:
                assert event.kind in receiver.capabilities.callbacks
                assert event.id
                assert event.at.utcoffset() == timedelta(0)
                assert event.at <= NOW
                assert event.key or event.provider_id or event.address
                json.dumps(dict(event.raw), allow_nan=False).encode()

    def test_a_callback_without_proof_is_refused(self, receiver: Any) -> None:
        """Else anybody could tell us that a customer complained."""
        self.assert_refused(receiver, self.unproven(self.genuine()))

    def test_a_callback_with_a_wrong_proof_is_refused(self, receiver: Any) -> None:
        """Cut, lengthened, turned round: with an answer, never with a failure of ours."""
        forged = list(self.forged(self.genuine()))
        assert forged
        for callback in forged:
            self.assert_refused(receiver, callback)

    def test_without_a_secret_every_callback_is_refused(self, without_secret: Any) -> None:
        """No secret is no reason to believe anybody."""
        self.assert_refused(without_secret, self.genuine())
        self.assert_refused(without_secret, self.unproven(self.genuine()))

    def test_no_bit_of_a_body_can_be_changed(self, receiver: Any) -> None:
        """Where the proof is one of the body."""
        if not self.covers_body:
            pytest.skip("this provider's proof does not cover the body")
        genuine, chosen = self.genuine(), random.Random(20261122)  # noqa: S311 - the same bits every time
        for _ in range(300):
            body = bytearray(genuine.body)
            body[chosen.randrange(len(body))] ^= 1 << chosen.randrange(8)
            self.assert_refused(receiver, replace(genuine, body=bytes(body)))
        self.assert_refused(receiver, replace(genuine, body=genuine.body + b" "))
        self.assert_refused(receiver, replace(genuine, body=b""))

    def test_a_proof_of_another_time_is_refused(self, receiver: Any) -> None:
        """So much either way is allowed, and not a second more."""
        if not self.covers_time:
            pytest.skip("this provider's proof has no time")
        genuine = self.genuine()
        for seconds in (-self.tolerance, self.tolerance):
            assert receiver.read_receipts(replace(genuine, received_at=NOW + timedelta(seconds=seconds)))
        for seconds in (-self.tolerance - 1, self.tolerance + 1, 864_000):
            self.assert_refused(receiver, replace(genuine, received_at=NOW + timedelta(seconds=seconds)))

    def test_a_callback_that_comes_again_is_the_same_events(self, receiver: Any) -> None:
        """Providers repeat themselves; by the events' ids nothing counts twice."""
        for n in range(len(self.documents())):
            first, again = (ids(receiver.read_receipts(self.genuine(n))) for _ in range(2))
            later = self.callback(self.encoded(self.documents()[n]), NOW + timedelta(hours=1))
            assert first == again == ids(receiver.read_receipts(later))

    def test_different_events_have_different_ids(self, receiver: Any) -> None:
        """Else one would be taken for a repetition of the other."""
        found = [
            id_ for n in range(len(self.documents())) for id_ in ids(receiver.read_receipts(self.genuine(n)))
        ]
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b"{}", b"[{}]", b"1", b'"x"', b"[1]", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000,
         b"[" + b"{}," * 5_000 + b"{}]", b'{"a": 1e999}', b'{"a": NaN}', b"9" * 10_000, b"=&=&%zz", b"a=b&" * 5_000,
         b" " * 2_000_000, b'{"a": "' + b"x" * 2_000_000 + b'"}'],
    )  # fmt: skip
    def test_a_hostile_body_is_an_answer_and_no_failure(self, receiver: Any, body: bytes) -> None:
        """Huge, deep, empty, of the wrong type: also where the provider itself has signed it."""
        self.read_or_refused(receiver, self.callback(body, NOW))

    def test_a_value_of_a_wrong_type_is_no_failure(self, receiver: Any) -> None:
        """Every value of every document in turn is something else, or missing."""
        for document in self.documents():
            for broken in mutations(document):
                for event in self.read_or_refused(receiver, self.callback(self.encoded(broken), NOW)):
                    assert isinstance(event.id, str)
                    assert event.at <= NOW
                    assert (
                        max(
                            map(
                                len, (event.key, event.provider_id, event.address, event.reason, event.status)
                            )
                        )
                        <= 1_000
                    )
                    json.dumps(dict(event.raw), allow_nan=False, ensure_ascii=False).encode()

    def test_what_was_given_up_for_our_sender_or_account_has_failed_and_suppresses_nobody(
        self, receiver: Any
    ) -> None:
        """Such an event is `ours`: the channel pauses, and the address is none the worse for it."""
        documents = self.told_about_us()
        if not documents:
            pytest.skip("this provider tells of nothing that is ours")
        for document in documents:
            events = receiver.read_receipts(self.callback(self.encoded(document), NOW))
            assert [(event.kind, event.ours, event.hard) for event in events] == [
                (DeliveryEventKind.failed, True, False)
            ], document

    def test_an_event_of_a_kind_that_nobody_knows_is_kept_in_its_own_words(self, receiver: Any) -> None:
        """It is `unknown`, and nothing follows from it; the same again is the same event."""
        document = self.unheard_of()
        if document is None:
            pytest.skip("this provider's kinds of event are ours")
        callback = self.callback(self.encoded(document), NOW)
        (event,), (again,) = receiver.read_receipts(callback), receiver.read_receipts(callback)
        assert (event.kind, event.hard, event.ours) == (DeliveryEventKind.unknown, False, False)
        assert event.id == again.id
        assert event.status
        assert all(value in str(document) for value in map(str, event.raw.values()))

    def assert_refused(self, receiver: Any, callback: Callback) -> None:
        """Assert that a callback is refused as not genuine, without a word of the secret."""
        with pytest.raises(BadCallback) as raised:
            receiver.read_receipts(callback)
        assert 400 <= raised.value.status < 500
        assert [secret for secret in self.secrets if secret in str(raised.value)] == []

    def read_or_refused(self, receiver: Any, callback: Callback) -> list[DeliveryEvent]:
        """Return the events of a callback, none where it is refused; any other exception is a failure."""
        try:
            found: list[DeliveryEvent] = receiver.read_receipts(callback)
        except BadCallback:
            return []
        return found


def ids(events: Sequence[DeliveryEvent]) -> list[str]:
    """Return the events' ids."""
    return [event.id for event in events]


def mutations(document: Any) -> Iterator[Any]:
    """Yield copies of a document, each with one value replaced by something odd or left out."""
    for path in _paths(document):
        for odd in _ODD:
            yield _changed(document, path, odd)
        if path:
            yield _changed(document, path, ..., drop=True)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from _paths(one, (*path, name))


def _changed(document: Any, path: tuple[Any, ...], odd: Any, *, drop: bool = False) -> Any:
    if not path:
        return odd
    whole = copy.deepcopy(document)
    place = whole
    for name in path[:-1]:
        place = place[name]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    return whole

"""The conversation cut off, chopped up and garbled at every byte: no yes without a yes, no second copy."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from treue.channel import Accepted, Outgoing, Receipt, Refused, Retry, Unknown
from treue.testing.channel_contract import Log, example_message
from treue_channels.smtp.desk import BatchDesk
from treue_channels.smtp.dialogue import Dialogue, Offers
from treue_channels.smtp.envelope import Envelope
from treue_channels.smtp.relay import read_url
from treue_channels.smtp.replies import GarbledError, Replies

RELAY = read_url("smtp://mx.example.com")


@dataclass
class Peer:
    """An SMTP server made of bytes alone. `taken` are the recipients of messages whose final dot it has read."""

    refuses: str = ""
    lenient: bool = False
    closes_after: int = 99
    taken: list[str] = field(default_factory=list)
    said: dict[str, int] = field(default_factory=dict)
    _heard: bytes = b""
    _in_data: bool = False
    _recipient: str = ""
    _known: bool = False

    def hear(self, data: bytes) -> bytes:
        self._heard += data
        answers = b""
        while (end := self._heard.find(b"\r\n.\r\n" if self._in_data else b"\r\n")) >= 0 or self._nothing():
            if self._in_data:
                self._heard = self._heard[3:] if self._nothing() else self._heard[end + 5 :]
                answers += self._message()
            else:
                line, self._heard = self._heard[:end], self._heard[end + 2 :]
                answers += self._command(line)
        return answers

    def _nothing(self) -> bool:
        return self._in_data and self._heard.startswith(b".\r\n")

    def _command(self, line: bytes) -> bytes:
        if line.startswith(b"MAIL") and len(self.taken) >= self.closes_after:
            return b"421-4.3.2 enough\r\n421 4.3.2 for today\r\n"
        if line.startswith(b"RCPT"):
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            self._known = self._recipient != self.refuses
            return b"250-2.1.5 fine\r\n250 2.1.5 go on\r\n" if self._known else b"550 5.1.1 nobody\r\n"
        if line == b"DATA":
            self._in_data = self._known or self.lenient
            return b"354 go on\r\n" if self._in_data else b"554 5.5.1 no valid recipients\r\n"
        return b"250 2.0.0 ok\r\n"

    def _message(self) -> bytes:
        self._in_data = False
        if not self._known:
            return b"554 5.5.1 no valid recipients\r\n"
        self.taken.append(self._recipient)
        return b"250 2.0.0 Ok: queued as Q" + self._recipient.encode() + b"\r\n"


def mails(count: int) -> list[Outgoing]:
    return [
        replace(example_message("email", n), raw=b"Subject: x\r\n\r\n.dot\r\n" + b"text\r\n" * n)
        for n in range(count)
    ]


@dataclass
class Run:
    """One connection, through which at most `budget` bytes go in both directions together, in random pieces."""

    peer: Peer
    desk: BatchDesk
    log: Log
    bytes_used: int
    finished: bool

    def receipt(self, number: int) -> Receipt | None:
        return self.desk.receipts[number]


def run(peer: Peer, count: int, pipelining: bool, seed: int, budget: int = 10**9) -> Run:
    chance, log = random.Random(seed), Log()
    desk = BatchDesk(mails(count), log, RELAY, Envelope(RELAY.host))
    dialogue = Dialogue(Offers(pipelining, True, True, True), most=100)
    dialogue.desk = desk
    dialogue.begin()
    used, answers = 0, b""
    try:
        while used < budget and not dialogue.over and (dialogue.out or answers):
            limit = min(budget - used, chance.choice((1, 2, 7, 40, 4000)))
            if dialogue.out and (not answers or chance.random() < 0.5):
                piece = bytes(dialogue.out[:limit])
                dialogue.note_written(len(piece))
                answers += peer.hear(piece)
            else:
                piece, answers = answers[:limit], answers[limit:]
                dialogue.receive(piece)
            used += len(piece)
    except (GarbledError, ConnectionError) as error:
        dialogue.end(error)
    finished = dialogue.idle and not dialogue.over
    dialogue.end(ConnectionError("it hung up"))
    return Run(peer, desk, log, used, finished)


PEERS = {
    "friendly": Peer,
    "refusing": lambda: Peer(refuses="customer1@example.com"),
    "lenient": lambda: Peer(refuses="customer1@example.com", lenient=True),
    "closing": lambda: Peer(closes_after=2),
}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("kind", PEERS)
def test_wherever_a_connection_ends_no_message_is_said_to_be_other_than_it_is(
    kind: str, pipelining: bool
) -> None:
    whole = run(PEERS[kind](), 4, pipelining, 0).bytes_used
    assert whole > 400
    doubts = 0
    for budget in range(whole + 1):
        done = run(PEERS[kind](), 4, pipelining, seed=budget, budget=budget)
        for number, message in enumerate(mails(4)):
            receipt, taken = done.receipt(number), message.to in done.peer.taken
            waiting = any(job.message.key == message.key for job in (*done.desk.waiting, *done.desk.aside))
            assert (receipt is None) == waiting
            assert done.log.of(message.key).count("settled") == (not waiting)
            if isinstance(receipt, Accepted):
                assert taken
                assert receipt.provider_id == "Q" + message.to
            if taken:
                assert isinstance(receipt, Accepted | Unknown)
            if isinstance(receipt, Refused):
                assert message.to == done.peer.refuses
            if waiting:
                assert done.log.of(message.key) == []
            doubts += isinstance(receipt, Unknown)
        assert sum(isinstance(one, Unknown) for one in done.desk.receipts) <= 1
    assert doubts > 50


ODD = (
    b"450 4.2.0 later\r\n", b"550 5.1.1 no\r\n", b"421 4.3.2 bye\r\n", b"garbage\r\n", b"530 5.7.0 log in\r\n",
    b"354 go on\r\n", b"250 ok\r\n250 ok\r\n", b"",
)  # fmt: skip


@dataclass
class Mad(Peer):
    """Answers anything now and then: no, nothing, twice, or what belongs elsewhere."""

    chance: random.Random = field(default_factory=random.Random)

    def _command(self, line: bytes) -> bytes:
        usual, odd = super()._command(line), self.chance.choice(ODD)
        if self.chance.random() > 0.05 or (line == b"DATA" and odd.startswith(b"354")):
            return usual
        self._known &= not line.startswith(b"RCPT")
        self._in_data &= line != b"DATA"
        return odd

    def _message(self) -> bytes:
        usual, odd = super()._message(), self.chance.choice(ODD[:4])
        if not self._known or self.chance.random() > 0.1:
            return usual
        if odd[:1] in b"45":
            self.taken.pop()
        return odd


def test_no_server_however_mad_gets_a_wrong_receipt() -> None:
    found = Counter[tuple[type, int]]()
    for seed in range(max(1_500, min(int(os.environ.get("TREUE_TORTURE") or 0), 30_000))):
        chance = random.Random(seed)
        budget = chance.choice((10**9, chance.randrange(1_500)))
        done = run(Mad(lenient=chance.random() < 0.5, chance=chance), 5, chance.random() < 0.7, seed, budget)
        for number, message in enumerate(mails(5)):
            found[type(done.receipt(number)), done.peer.taken.count(message.to)] += 1
    wrong = {(Accepted, 0), (Refused, 1), (Retry, 1), (type(None), 1)} | {
        pair for pair in found if pair[1] > 1
    }
    assert wrong & set(found) == set()
    assert {(Accepted, 1), (Unknown, 1), (Unknown, 0), (Refused, 0), (Retry, 0)} <= set(found)


@pytest.mark.parametrize("pipelining", [True, False])
def test_answers_in_any_pieces_mean_the_same(pipelining: bool) -> None:
    for seed in range(100):
        done = run(Peer(refuses="customer2@example.com", lenient=seed % 2 == 0), 5, pipelining, seed)
        assert done.finished
        assert [type(done.receipt(n)) for n in range(5)] == [Accepted, Accepted, Refused, Accepted, Accepted]
        assert done.peer.taken == [f"customer{n}@example.com" for n in (0, 1, 3, 4)]


def begun(count: int = 2, *, pipelining: bool = True) -> tuple[Dialogue, BatchDesk]:
    desk = BatchDesk(mails(count), Log(), RELAY, Envelope(RELAY.host))
    dialogue = Dialogue(Offers(pipelining, True, True, True), most=100)
    dialogue.desk = desk
    dialogue.begin()
    return dialogue, desk


def all_written(dialogue: Dialogue) -> bytes:
    said = bytes(dialogue.out)
    dialogue.note_written(len(said))
    return said


def test_commands_go_out_together_and_those_of_the_next_message_behind_the_dot() -> None:
    dialogue, _ = begun()
    assert [line.split()[0] for line in all_written(dialogue).splitlines()] == [b"MAIL", b"RCPT", b"DATA"]
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    said = all_written(dialogue)
    assert [line.split()[0] for line in said.partition(b"\r\n.\r\n")[2].splitlines()] == [
        b"MAIL",
        b"RCPT",
        b"DATA",
    ]


def test_without_pipelining_every_command_waits_for_its_answer() -> None:
    dialogue, _ = begun(pipelining=False)
    for verb, answer in ((b"MAIL", b"250 ok\r\n"), (b"RCPT", b"250 ok\r\n"), (b"DATA", b"354 go\r\n")):
        said = all_written(dialogue)
        assert said.startswith(verb)
        assert said.count(b"\r\n") == 1
        dialogue.receive(answer)
    assert all_written(dialogue).endswith(b"\r\n.\r\n")


def test_only_a_message_for_nobody_is_ended_with_a_lone_dot() -> None:
    dialogue, desk = begun(1)
    all_written(dialogue)
    dialogue.receive(b"250 ok\r\n550 5.1.1 nobody\r\n354 go\r\n")
    assert all_written(dialogue) == b".\r\n"
    dialogue.receive(b"250 2.0.0 queued as X\r\n")  # whatever it says to that: nothing was sent
    assert isinstance(desk.receipts[0], Refused)
    assert dialogue.idle


def test_a_recipient_taken_after_the_sender_was_refused_gets_nothing() -> None:
    dialogue, _ = begun(1)
    all_written(dialogue)
    with pytest.raises(GarbledError):
        dialogue.receive(b"550 5.7.1 no\r\n250 ok\r\n354 go\r\n")
    assert not dialogue.out


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_yes_that_came_before_the_message_is_none(pipelining: bool) -> None:
    dialogue, desk = begun(2, pipelining=pipelining)
    for answer in (b"250 ok\r\n", b"250 ok\r\n"):
        all_written(dialogue)
        dialogue.receive(answer)
    all_written(dialogue)
    with pytest.raises(GarbledError):
        dialogue.receive(b"354 go\r\n250 2.0.0 Ok: queued as X\r\n")
    dialogue.end(ConnectionError("gone"))
    assert isinstance(desk.receipts[0], Retry)
    assert isinstance(desk.receipts[1], Retry | None)


def test_a_yes_while_the_message_is_still_being_written_is_none() -> None:
    dialogue, desk = begun(1)
    all_written(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    dialogue.note_written(10)
    with pytest.raises(GarbledError):
        dialogue.receive(b"250 2.0.0 Ok: queued as X\r\n")
    dialogue.end(ConnectionError("gone"))
    assert isinstance(desk.receipts[0], Retry)


def test_a_no_while_the_message_is_still_being_written_counts_and_ends_the_connection() -> None:
    dialogue, desk = begun(2)
    all_written(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    dialogue.note_written(10)
    dialogue.receive(b"552 5.3.4 too big\r\n")
    assert isinstance(desk.receipts[0], Refused)
    assert dialogue.over
    dialogue.end(ConnectionError("closing"))
    assert [job.number for job in desk.waiting] == [1]


def test_bytes_of_an_encrypted_record_that_may_have_gone_out_leave_a_doubt() -> None:
    dialogue, desk = begun(1)
    all_written(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    dialogue.note_risked(len(dialogue.out) - 1)
    assert not dialogue.idle
    dialogue.note_risked(len(dialogue.out))
    dialogue.end(ConnectionError("gone"))
    assert isinstance(desk.receipts[0], Unknown)


def test_a_server_that_closes_before_the_first_message_closes_for_everybody() -> None:
    dialogue, desk = begun(3)
    with pytest.raises(ConnectionError):
        dialogue.receive(b"421 4.3.2 going down\r\n")
    dialogue.end(ConnectionError("gone"))
    first, *rest = desk.finish()
    assert first == rest[0] == rest[1] == Retry("mx.example.com answered 421 4.3.2 going down", everyone=True)


def test_a_server_that_closes_at_one_recipient_costs_that_message_an_attempt() -> None:
    """Else one recipient of whom a server says 421 would hold up the channel for ever."""
    dialogue, desk = begun(2)
    with pytest.raises(ConnectionError):
        dialogue.receive(b"250 ok\r\n421 4.7.0 not this one\r\n")
    dialogue.end(ConnectionError("it answered 421 4.7.0 not this one"))
    assert isinstance(receipt := desk.receipts[0], Retry)
    assert not receipt.everyone
    assert desk.down is None


@pytest.mark.parametrize(
    "garbage",
    [b"nonsense\r\n", b"25\r\n", b"2500 ok\r\n", b"250x\r\n", b"100 ok\r\n", b"600 ok\r\n", b"250-a\r\n550 b\r\n",
     b"\r\n", b"x" * 9000, b"250-" + b"y" * 9000 + b"\r\n", b"250-z\r\n" * 9000, "２５０ ok\r\n".encode()],
)  # fmt: skip
def test_what_is_no_answer_is_not_taken_for_one(garbage: bytes) -> None:
    replies = Replies()
    replies.feed(garbage + b"250 ok\r\n")
    with pytest.raises(GarbledError):
        replies.take()


@pytest.mark.parametrize(
    "text", [b"250\r\n", b"250 \r\n", b"250 ok\n", b"250-a\n250 b\n", b"250-\r\n250\r\n"]
)
def test_answers_may_be_short_and_end_in_a_bare_line_feed(text: bytes) -> None:
    replies = Replies()
    for n in range(len(text) - 1):
        replies.feed(text[n : n + 1])
        assert replies.take() is None
    replies.feed(text[-1:])
    reply = replies.take()
    assert reply is not None
    assert reply.good
    assert replies.empty

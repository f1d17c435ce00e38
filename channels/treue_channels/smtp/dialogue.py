"""One connection's side of the conversation, without the connection: bytes in, bytes out.

Where PIPELINING is offered (RFC 2920), MAIL, RCPT and DATA go out together, and behind a message's final dot at
once those of the next. A message itself waits for the server's 354, so at most one message of a connection is
ever on the wire. The line between "certainly not sent" and "perhaps sent" is the final dot: a connection that
breaks before it leaves nothing behind, one that breaks after it and before the answer leaves a doubt (RFC 1047).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from treue.channel import Accepted, Outgoing, Receipt, Retry, Unknown
from treue_channels.smtp.replies import CLOSING, GarbledError, Replies, Reply, queue_id

_RSET, _MAIL, _RCPT, _DATA, _DOT, _NOTHING = "reset", "sender", "recipient", "DATA", "message", "nothing"


@dataclass(frozen=True)
class Offers:
    """What a server said it can do."""

    pipelining: bool = False
    size: bool = False
    eight_bit: bool = False
    utf8: bool = False


@dataclass(eq=False, slots=True)
class Job:
    """One message to be sent: its commands, and its bytes as DATA wants them.

    `announced` says that it was asked for already whether it may go.
    """

    number: int
    message: Outgoing
    mail: bytes = b""
    rcpt: bytes = b""
    content: bytes = b""
    refusal: Receipt | None = None
    announced: bool = False


class Desk(Protocol):
    """Hands out jobs and records what became of them."""

    def take(self, offers: Offers) -> Job | None:
        """Return the next message, or None where there is none to send."""

    def started(self, job: Job) -> bool:
        """Note that a message is about to go on the wire, and return whether it may; if not, it is settled."""

    def settle(self, job: Job, receipt: Receipt) -> None:
        """Record a message's receipt."""

    def put_back(self, job: Job) -> None:
        """Take a message back that the server never heard of."""

    def set_aside(self, job: Job) -> None:
        """Take a message back at which a connection broke that had carried others: it is tried last, on one of its own."""

    def broke(self, error: Exception, *, fresh: bool, doubt: bool) -> str:
        """Note that a connection broke, `fresh` if no message ever got through it, and `doubt` if it left one.

        Return the reason.
        """

    def rejected(self, what: str, reply: Reply) -> Receipt:
        """Return the receipt for a no. Raises GarbledError where it is not one."""

    def shut(self, reply: Reply) -> Receipt:
        """Note that the server closes for everybody; return the receipt of the message in hand."""


class Dialogue:
    """The conversation over one connection, which carries up to `most` messages; set `desk` for each batch.

    `out` are bytes still to be written.
    """

    desk: Desk

    def __init__(self, offers: Offers, most: int) -> None:
        self.offers, self._most = offers, most
        self.out = memoryview(b"")
        self.over = False
        self._replies = Replies()
        self._expected: deque[tuple[str, Job]] = deque()
        self._later: deque[tuple[str, Job, bytes]] = deque()
        self._sent = self._accepted = 0
        self._unclean = self._closed = False
        self._to_dot = 0

    @property
    def idle(self) -> bool:
        """Say whether nothing is under way."""
        return not self._expected

    @property
    def spent(self) -> bool:
        """Say whether as many messages were sent as one connection is to carry."""
        return self._sent >= self._most

    def begin(self) -> None:
        """Take a message and say what comes before it. Raises GarbledError where the server speaks unasked."""
        if self.spent:
            return
        if not self._expected:
            self._ask()
        job = self.desk.take(self.offers)
        if job is None:
            return
        steps = [(_MAIL, job, job.mail), (_RCPT, job, job.rcpt), (_DATA, job, b"DATA\r\n")]
        if self._unclean:
            self._unclean = False
            steps.insert(0, (_RSET, job, b"RSET\r\n"))
        self._later.extend(steps)
        self._say_next(all_of_them=self.offers.pipelining)

    def _ask(self) -> None:
        """Make sure that no answer is there already, which would be taken for the one to what is said now."""
        if not self._replies.empty:
            raise GarbledError("it answered before it was asked")

    def _say_next(self, *, all_of_them: bool) -> None:
        said = []
        while self._later:
            stage, job, line = self._later.popleft()
            said.append(line)
            self._expected.append((stage, job))
            if not all_of_them:
                break
        self._write(b"".join(said))

    def _write(self, data: bytes) -> None:
        self.out = memoryview(bytes(self.out) + data if self.out else data)

    def note_written(self, count: int) -> None:
        """Take bytes that were written off `out`."""
        self.out = self.out[count:]
        self._to_dot -= count

    def note_risked(self, count: int) -> None:
        """Note that so many bytes may have left in an encrypted record, even if writing it fails."""
        if count >= self._to_dot > 0:
            self._to_dot = 0

    def receive(self, data: bytes) -> bool:
        """Take in what the server sent; return whether a whole reply was in it. Raises GarbledError where it makes no sense."""
        self._replies.feed(data)
        heard = False
        while not self.over and (reply := self._replies.take()) is not None:
            if not self._expected:
                raise GarbledError(f"it said {reply.code} {reply.line} unasked")
            self._hear(reply)
            heard = True
        return heard

    def _hear(self, reply: Reply) -> None:
        stage, job = self._expected[0]
        if stage is _DOT:
            self._verdict(job, reply)
        elif reply.code == CLOSING:
            self._close_down(stage, job, reply)
        elif stage is _DATA:
            self._go(job, reply)
        else:
            self._heed(stage, job, reply)

    def _heed(self, stage: str, job: Job, reply: Reply) -> None:
        """Note the answer to a command before DATA, or to the end of a message for nobody."""
        if (stage is _RSET and not reply.good) or (stage is _RCPT and reply.good and job.refusal):
            raise GarbledError(f"it answered {reply.code} {reply.line} to the {stage}")
        self._expected.popleft()
        if stage in (_MAIL, _RCPT) and not reply.good and job.refusal is None:
            job.refusal = self.desk.rejected(stage, reply)
            if self._later:  # one step at a time: the rest need not be said
                self._later.clear()
                self._refuse(job, job.refusal)
        if self._expected:
            return
        if self._later:
            self._ask()
            self._say_next(all_of_them=False)
        else:
            self.begin()

    def _go(self, job: Job, reply: Reply) -> None:
        """Send the message, unless something was wrong with what came before."""
        if reply.code != 354:
            receipt = job.refusal or self.desk.rejected(_DATA, reply)
            self._expected.popleft()
            self._refuse(job, receipt)
            self.begin()
            return
        self._ask()
        if job.refusal is None:
            self._send(job)
        else:
            self._expected.popleft()
            self._refuse(job, job.refusal)
            self._send_nothing(job)

    def _send(self, job: Job) -> None:
        allowed = self.desk.started(job)
        self._expected.popleft()
        if not allowed:
            raise ConnectionError("the message was withdrawn after DATA")
        self._to_dot = len(self.out) + len(job.content)
        self._write(job.content)
        self._expected.append((_DOT, job))
        self._sent += 1
        if self.offers.pipelining:
            self.begin()

    def _send_nothing(self, job: Job) -> None:
        """End a message for nobody: the server waits for it after a recipient it refused (RFC 2920 3.1)."""
        self._write(b".\r\n")
        self._expected.append((_NOTHING, job))

    def _refuse(self, job: Job, receipt: Receipt) -> None:
        self._unclean = True
        self.desk.settle(job, receipt)

    def _verdict(self, job: Job, reply: Reply) -> None:
        """Settle a message by the answer to its final dot."""
        early = self._to_dot > 0
        if early and reply.good:
            raise GarbledError(f"it answered {reply.code} {reply.line} before the message's end")
        receipt = Accepted(queue_id(reply)) if reply.good else self.desk.rejected(_DOT, reply)
        self._expected.popleft()
        self._accepted += reply.good
        self.desk.settle(job, receipt)
        self._closed = reply.code == CLOSING
        self.over = early or self._closed
        if not self._expected and not self.over:
            self.begin()

    def _close_down(self, stage: str, job: Job, reply: Reply) -> None:
        """A server that closes may have had enough of this connection only, or of everybody."""
        if stage in (_RSET, _MAIL) and not self._sent:
            self._expected = deque(pair for pair in self._expected if pair[1] is not job)
            self._later.clear()
            self.desk.settle(job, self.desk.shut(reply))
        elif stage in (_RCPT, _DATA):
            self._expected = deque(pair for pair in self._expected if pair[1] is not job)
            self._later = deque(step for step in self._later if step[1] is not job)
            self.desk.settle(job, self.desk.rejected(stage, reply))
            self._closed = True
        raise ConnectionError(f"it answered {reply.code} {reply.line}")

    def end(self, error: Exception) -> None:
        """Settle whatever was under way when the connection ended. Nothing can be said any more."""
        self.over = True
        jobs = dict.fromkeys(job for stage, job in self._expected if stage is not _NOTHING)
        jobs |= dict.fromkeys(job for _, job, _ in self._later)
        on_the_wire = next((job for stage, job in self._expected if stage is _DOT), None)
        doubted = on_the_wire is not None and self._to_dot <= 0
        stage, at = self._expected[0] if self._expected else (_MAIL, None)
        reason = ""
        if jobs or self._closed:
            reason = self.desk.broke(error, fresh=not self._accepted, doubt=doubted)
        self._expected.clear()
        self._later.clear()
        self._closed = False
        for job in jobs:
            if job is on_the_wire:
                self.desk.settle(job, Unknown(reason, alone=True) if doubted else Retry(reason, alone=True))
            else:
                self._abandon(job, reason, at_it=job is at and stage in (_RCPT, _DATA))

    def _abandon(self, job: Job, reason: str, *, at_it: bool) -> None:
        """Let go of a message that never went on the wire; `at_it` says that the server had heard its sender."""
        if job.refusal is not None:
            self.desk.settle(job, job.refusal)
        elif not self._sent:
            self.desk.settle(job, Retry(reason, alone=True))
        elif at_it:
            self.desk.set_aside(job)
        else:
            self.desk.put_back(job)

"""What is still to be sent of one batch, and what became of the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from treue.channel import TAKEN_OVER, Accepted, Outgoing, Progress, Receipt, Retry, Unknown
from treue_channels.smtp.dialogue import Job, Offers
from treue_channels.smtp.envelope import Envelope
from treue_channels.smtp.opening import said
from treue_channels.smtp.relay import Relay
from treue_channels.smtp.replies import CLOSING, Reply, rejection

_LOSSES = 3
"""Connections in a row that break before they carried a message; then the server is left alone."""
_LOSSES_OF_A_GOOD_ONE = 10
"""The same of a server that has taken messages of the batch, where they leave no doubt and are quick to break."""


class BatchDesk:
    """The batch being sent. `down` is what the messages not tried get once the server is not to be tried any more;
    `shaken` says that a connection has left a doubt.

    A connection may break for the sake of the server, or of the recipient, and those beside one at which it breaks are
    often like it. So after one that broke, messages are taken from the other end of the batch, and after a second in a
    row from its middle. A message at which it broke
    after others had gone through is put `aside`: it comes last, on a connection of its own.
    """

    def __init__(
        self, batch: Sequence[Outgoing], progress: Progress, relay: Relay, envelope: Envelope
    ) -> None:
        self.receipts: list[Receipt | None] = [None] * len(batch)
        self.waiting = deque(Job(number, message) for number, message in enumerate(batch))
        self.down: Retry | None = None
        self.shaken = self._withdrawn = self._from_the_end = self._good = False
        self.aside = deque[Job]()
        self._progress, self._relay, self._envelope = progress, relay, envelope
        self._breaks = self._losses = self._costly = 0

    def take(self, offers: Offers) -> Job | None:
        """Return the next message, ready for a server that offers this; what cannot be sent is settled here."""
        while self.waiting and self.down is None:
            job = self.waiting.pop() if self._from_the_end else self.waiting.popleft()
            refusal = self._envelope.fill(job, offers)
            if refusal is not None:
                self.settle(job, refusal)
            elif not self._withdrawn or self.started(job):
                return job
        return None

    def started(self, job: Job) -> bool:
        """Note the start in the acceptance log, once. After a refusal it is asked earlier, as more will follow."""
        if not job.announced and not self._progress.started(job.message.key):
            self._withdrawn = True
            self.settle(job, TAKEN_OVER)
            return False
        job.announced = True
        return True

    def settle(self, job: Job, receipt: Receipt) -> None:
        """Note the receipt in the acceptance log, and keep it."""
        self.receipts[job.number] = receipt
        self._progress.settled(job.message.key, receipt)
        if isinstance(receipt, Accepted):
            self._breaks = self._losses = self._costly = 0
            self._good = True
        self.shaken |= isinstance(receipt, Unknown)

    def put_back(self, job: Job) -> None:
        """Put a message back: it is the next."""
        if self._from_the_end:
            self.waiting.append(job)
        else:
            self.waiting.appendleft(job)

    def set_aside(self, job: Job) -> None:
        """Keep a message for when no other waits."""
        self.aside.append(job)

    def bring_back(self) -> bool:
        """Let the next message that was set aside wait, and say whether there was one."""
        if not self.aside:
            return False
        self.waiting.append(self.aside.popleft())
        return True

    def broke(self, error: Exception, *, fresh: bool, doubt: bool) -> str:
        """Return the reason; too many fresh connections lost in a row end the batch."""
        reason = self._relay.redacted(f"The conversation with {self._relay.host} broke off: {said(error)}")
        self._breaks += 1
        if self._breaks % 2:
            self._from_the_end = not self._from_the_end
        else:
            self.waiting.rotate(len(self.waiting) // 2)
        self._losses += fresh
        self._costly += fresh and (doubt or isinstance(error, TimeoutError))
        if self._costly >= _LOSSES or self._losses >= (_LOSSES_OF_A_GOOD_ONE if self._good else _LOSSES):
            self.down = Retry(reason, everyone=True)
        return reason

    def rejected(self, what: str, reply: Reply) -> Receipt:
        """Return the receipt for a no; one that is about the settings ends the batch."""
        receipt = rejection(self._relay.host, what, reply)
        receipt = replace(receipt, reason=self._relay.redacted(receipt.reason))
        if isinstance(receipt, Retry):
            receipt = replace(receipt, alone=reply.code == CLOSING)
            if receipt.everyone:
                self.down = receipt
        return receipt

    def shut(self, reply: Reply) -> Receipt:
        """End the batch: the server takes no mail for now."""
        reason = f"{self._relay.host} answered {reply.code} {reply.line}"
        self.down = Retry(self._relay.redacted(reason), everyone=True)
        return self.down

    def finish(self) -> list[Receipt]:
        """Return a receipt for each message of the batch; those not tried come back for another time."""
        for job in (*self.waiting, *self.aside):
            self.settle(job, self.down or Retry("The server did not take any more messages."))
        self.waiting.clear()
        self.aside.clear()
        return [receipt for receipt in self.receipts if receipt is not None]

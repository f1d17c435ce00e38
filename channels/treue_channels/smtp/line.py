"""Open connections, all listened to at once by one thread."""

from __future__ import annotations

import contextlib
import selectors
import smtplib
import ssl
import time
from collections.abc import Sequence

from treue_channels.smtp.dialogue import Desk, Dialogue, Offers

_CHUNK = 65536
_RECORD = 16384
"""Bytes of one TLS record: what is encrypted, and then handed to the system, in one piece."""
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """One connection to the server, logged in. `wire` is the session as it was opened, to carry `most` messages."""

    def __init__(self, wire: smtplib.SMTP, timeout: float, most: int) -> None:
        assert wire.sock is not None
        self._wire, self._socket, self._timeout = wire, wire.sock, timeout
        self._encrypted = isinstance(wire.sock, ssl.SSLSocket)
        self._dialogue = Dialogue(
            Offers(*(wire.has_extn(name) for name in ("pipelining", "size", "8bitmime", "smtputf8"))), most
        )
        self.due = 0.0
        self._socket.settimeout(0)

    def fileno(self) -> int:
        """Return the descriptor to listen at."""
        return self._socket.fileno()

    @property
    def idle(self) -> bool:
        """Say whether nothing is under way."""
        return self._dialogue.idle

    @property
    def over(self) -> bool:
        """Say whether this connection can carry no more."""
        return self._dialogue.over

    @property
    def spent(self) -> bool:
        """Say whether this connection has carried as many messages as it is to."""
        return self._dialogue.spent

    @property
    def events(self) -> int:
        """The selector events to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._dialogue.out else 0)

    def stale(self) -> bool:
        """Say whether the server has hung up, or said something, while nothing was under way."""
        try:
            self._socket.recv(1)
        except _NOT_NOW:
            return False
        except OSError:
            return True
        return True

    def begin(self, desk: Desk) -> None:
        """Take a message from a desk where nothing is under way."""
        self._dialogue.desk = desk
        try:
            self._dialogue.begin()
            self._write()
        except Exception as error:
            self._end(error)

    def turn(self) -> None:
        """Read what has arrived and write what is waiting."""
        try:
            self._read()
            self._write()
        except Exception as error:
            self._end(error)
        if self.over:
            self._end(ConnectionError("it is closing"))

    def _read(self) -> None:
        more = True
        while more and not self.over:
            try:
                data = self._socket.recv(_CHUNK)
            except _NOT_NOW:
                return
            if not data:
                raise ConnectionError("it hung up")
            self._wait_on(self._dialogue.receive(data))
            more = self._encrypted  # what is decrypted already wakes nobody up

    def _write(self) -> None:
        dialogue = self._dialogue
        while dialogue.out and not dialogue.over:
            piece = dialogue.out
            if self._encrypted:
                piece = piece[:_RECORD]
                dialogue.note_risked(len(piece))
            try:
                count = self._socket.send(piece)
            except _NOT_NOW:
                return
            except OSError:
                self._read()  # what it said before it hung up
                raise
            dialogue.note_written(count)
            self._wait_on(True)

    def _wait_on(self, progress: bool) -> None:
        """Restart the timeout after progress: a whole answer, or a write."""
        if progress or not self.due:
            self.due = time.monotonic() + self._timeout

    def check(self, now: float) -> None:
        """End the conversation where the server takes too long. `now` is of the monotonic clock."""
        if not self.idle and now > self.due:
            self._end(TimeoutError("it took too long"))

    def _end(self, error: Exception) -> None:
        self._dialogue.end(error)
        self.drop()

    def drop(self) -> None:
        """Close the connection without QUIT."""
        self._wire.close()

    def leave(self) -> None:
        """Send QUIT and close the connection."""
        with contextlib.suppress(Exception):
            self._socket.settimeout(min(5.0, self._timeout))
            self._wire.file = None
            self._wire.quit()
        self._wire.close()


def converse(lines: Sequence[Line], desk: Desk) -> None:
    """Send what the desk has over these lines, until there is no more or no line is left."""
    with selectors.DefaultSelector() as selector:
        listened: dict[Line, int] = {}
        while True:
            for line in lines:
                if line.idle and not line.over:
                    line.begin(desk)
                _listen(selector, line, listened)
            if not listened:
                return
            patience = min(line.due for line in listened) - time.monotonic()
            for key, _ in selector.select(max(0.0, patience) + 0.001):
                key.data.turn()
            now = time.monotonic()
            for line in listened:
                line.check(now)


def _listen(selector: selectors.BaseSelector, line: Line, listened: dict[Line, int]) -> None:
    """Listen to a line that has something under way for what it waits for, and to no other."""
    wanted = 0 if line.idle or line.over else line.events
    had = listened.get(line, 0)
    if wanted == had:
        return
    if not wanted:
        selector.unregister(line)
        del listened[line]
        return
    if had:
        selector.modify(line, wanted, line)
    else:
        selector.register(line, wanted, line)
    listened[line] = wanted

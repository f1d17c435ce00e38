"""An SMTP server that does as it is told: says what a test wants, hangs up, or falls silent."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field

HANG_UP = "hang up"
SILENCE = "silence"


@dataclass
class Taken:
    sender: str
    recipient: str
    raw: bytes


@dataclass
class Script:
    """What to answer, by stage (`greeting`, `ehlo`, `mail`, `rcpt`, `data`, `dot`, `rset`, …).

    A key `rcpt bob@example.com` is for one recipient only. Several answers are given one after the other, the
    last one for ever.
    """

    answers: dict[str, str | list[str]] = field(default_factory=dict)
    features: tuple[str, ...] = ("SIZE 33554432", "8BITMIME")
    lenient: bool = False  # says 354 to DATA even where it refused the recipient (RFC 2920 3.1 allows it)
    drips: bool = False  # one byte a packet
    thinks: float = 0.0  # seconds before each answer to a final dot
    most_connections: int = 10**9
    messages_a_connection: int = 10**9
    dies_at: int = 10**9  # the message, of all connections together, at whose final dot everything ends
    tls: ssl.SSLContext | None = None
    taken: list[Taken] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, stage: str, about: str, usual: str) -> str:
        with self.lock:
            name = f"{stage} {about}" if f"{stage} {about}" in self.answers else stage
            found = self.answers.get(name, usual)
            if isinstance(found, str):
                return found
            return found.pop(0) if len(found) > 1 else found[0]


class _HungUpError(Exception):
    pass


class _Session(socketserver.StreamRequestHandler):
    server: Server
    disable_nagle_algorithm = True
    recipient = sender = ""
    known = False
    carried = 0

    def handle(self) -> None:
        self.script = self.server.script
        self.script.connections += 1
        self.script.open += 1
        with contextlib.suppress(_HungUpError, OSError):
            full = self.script.open > self.script.most_connections
            self.say("greeting", "421 4.7.0 too many connections" if full else "220 ready")
            while line := self.rfile.readline():
                self.command(line.decode(errors="surrogateescape").rstrip("\r\n"))
        self.script.open -= 1

    def command(self, line: str) -> None:
        self.script.heard.append(line)
        verb, _, rest = line.partition(" ")
        method = getattr(self, f"do_{verb.lower()}", None)
        method(rest) if method else self.say(verb.lower(), "500 what?")

    def say(self, stage: str, usual: str) -> str:
        return self.tell(self.script.answer(stage, self.sender if stage == "mail" else self.recipient, usual))

    def tell(self, answer: str) -> str:
        if answer == SILENCE:
            time.sleep(1.5)
        if answer in (HANG_UP, SILENCE):
            self.connection.close()
            raise _HungUpError
        text = answer.encode() + b"\r\n"
        for at in range(0, len(text), 1 if self.script.drips else len(text)):
            self.wfile.write(text[at : at + (1 if self.script.drips else len(text))])
        return answer

    def do_ehlo(self, _: str) -> None:
        lines = ["localhost", *self.script.features]
        if self.script.tls and not isinstance(self.connection, ssl.SSLSocket):
            lines.append("STARTTLS")
        usual = "\r\n".join(f"250{'-' if n < len(lines) else ' '}{text}" for n, text in enumerate(lines, 1))
        self.say("ehlo", usual)

    def do_starttls(self, _: str) -> None:
        if self.say("starttls", "220 go ahead").startswith("220") and self.script.tls:
            self.connection = self.script.tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def do_auth(self, _: str) -> None:
        self.say("auth", "235 2.7.0 welcome")

    def do_mail(self, rest: str) -> None:
        self.sender = rest.partition("<")[2].partition(">")[0]
        self.known = False
        full = self.carried >= self.script.messages_a_connection
        self.say("mail", "421 4.7.0 enough of this connection" if full else "250 2.1.0 ok")

    def do_rcpt(self, rest: str) -> None:
        self.recipient = rest.partition("<")[2].partition(">")[0]
        self.known = self.say("rcpt", "250 2.1.5 ok").startswith("2")

    def do_data(self, _: str) -> None:
        wanted = self.known or self.script.lenient
        if not self.say("data", "354 go on" if wanted else "554 5.5.1 no valid recipients").startswith("354"):
            return
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                raise _HungUpError
            lines.append(line.removeprefix(b"."))
        usual = f"250 2.0.0 Ok: queued as Q{len(self.script.taken) + 1}"
        usual = usual if self.known else "554 5.5.1 no valid recipients"
        answer = self.script.answer("dot", self.recipient, usual)
        time.sleep(self.script.thinks)
        if len(self.script.taken) >= self.script.dies_at:
            raise _HungUpError
        if answer.startswith("250"):
            self.carried += 1
            self.script.taken.append(Taken(self.sender, self.recipient, b"".join(lines)))
        self.tell(answer)

    def do_rset(self, _: str) -> None:
        self.say("rset", "250 2.0.0 ok")

    def do_quit(self, _: str) -> None:
        self.say("quit", "221 2.0.0 bye")
        raise _HungUpError


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        super().__init__(("127.0.0.1", port), _Session)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Server:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

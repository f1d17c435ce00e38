"""Messages a second from the outbox to an SMTP sink, beside the plain script everybody writes first.

    python -m benchmarks.delivery            20,000 mails
    python -m benchmarks.delivery --small    400, to see that it works

Every mail is one person's own: HTML with a loop over four products and a dozen names, a text part, a subject; 7 kB.
Two processes send, a third takes (`benchmarks.sink`). The plain script renders the same template with Jinja2, builds
an `email.message.EmailMessage`, sends it with smtplib, and records nothing; Treue claims, looks once more at consent
and suppression, renders in the sandbox, writes the mail with its unsubscribe headers, logs, sends, and records each
message's fate, every commit synced. CPU times are those of the sending processes from the start signal on, and of the
sink's whole life; PostgreSQL's own are not in them.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

from benchmarks.segments import postgres
from treue.channel import installed_adapters
from treue.composition.assembly import Assembly, assembled
from treue.engine.passes.chronology import run_pass
from treue.store import consents, customers, events
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.vocabulary.workspace import load

WORKSPACE = Path(__file__).parent / "mailing"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = START + timedelta(minutes=2)
SENDERS = 2
LOADED_AT_ONCE = 5_000


def person(n: int) -> dict[str, str]:
    """Return the attributes of the n-th customer."""
    first = ("Käthe", "Grace", "Jürgen", "Ada")[n % 4]
    return {
        "first_name": first,
        "last_name": f"Müller-{n}",
        "country": "Germany",
        "city": ("Köln", "Hamburg")[n % 2],
    }


def order(n: int) -> dict[str, object]:
    """Return the properties of the n-th customer's order, with four products."""
    products = [
        {
            "name": f"Kind of Blue, pressing {n % 97 + k}", "artist": f"Artist {(n + k) % 31} & Söhne",
            "price": 15 + (n + 7 * k) % 40, "url": f"https://klangladen.example/records/{n % 997}-{k}",
            "picture": f"https://klangladen.example/covers/{n % 997}-{k}.jpg",
        }
        for k in range(4)
    ]  # fmt: skip
    return {
        "order_id": f"o-{n}",
        "total": 20 + n % 50,
        "currency": "EUR",
        "quantity": 1 + n % 3,
        "products": products,
    }


@contextmanager
def sink() -> Iterator[tuple[int, list[int]]]:
    """Give the port of a sink and, afterwards, how many messages and bytes it took."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout
        taken: list[int] = []
        yield int(process.stdout.readline()), taken
        out, _ = process.communicate()
        taken += map(int, out.split())


def fill(assembly: Assembly, count: int) -> None:
    """Put one mail for each of so many customers into the outbox."""
    for first in range(0, count, LOADED_AT_ONCE):
        numbers = range(first, min(first + LOADED_AT_ONCE, count))
        with assembly.store.transaction() as connection:
            people = [
                CustomerInput(
                    f"c{n}",
                    f"c{n}@example.com",
                    None,
                    None,
                    "en",
                    "Europe/Berlin",
                    person(n),
                    START,
                    "import",
                )
                for n in numbers
            ]
            customers.merge(connection, people, START)
            proof = {"wording": "Yes."}
            consents.give(
                connection, [ConsentInput(f"c{n}", "email", START, proof=proof) for n in numbers], START
            )
            at = START + timedelta(minutes=1)
            events.record(
                connection, [EventInput(f"c{n}", "order.placed", at, order(n), f"o{n}") for n in numbers], at
            )
    run_pass(assembly.engine, LATER)


def work(root: str) -> None:
    """Be one of the sending processes: say when ready, begin when told, say how many were sent."""
    with assembled(load(Path(root), installed_adapters)) as assembly:
        delivery = assembly.engine.delivery
        assert delivery is not None
        (version,) = assembly.engine.versions()
        wait_for_the_signal()
        tell(delivery.deliver(version.journey_id, LATER + timedelta(minutes=1)).sent)


def wait_for_the_signal() -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    _before.append(time.process_time())


def tell(sent: int) -> None:
    """Say how many were sent, and the microseconds of CPU that it took."""
    print(sent, round((time.process_time() - _before[0]) * 1e6), flush=True)


_before: list[float] = []


def script(root: str, port: str, half: str, count: str) -> None:
    """Be one process of the plain script: Jinja2, email.message, smtplib."""
    from jinja2 import Environment

    template = Path(root) / "templates" / "mailing"
    environment = Environment(autoescape=True)
    environment.filters["money"] = lambda amount, currency: f"{amount:.2f} {currency}"
    page = environment.from_string((template / "email.html").read_text(encoding="utf-8").split("---\n", 2)[2])
    words = environment.from_string((template / "email.txt").read_text(encoding="utf-8"))
    wait_for_the_signal()
    with smtplib.SMTP("127.0.0.1", int(port)) as smtp:
        for n in range(int(half), int(count), SENDERS):
            names = {
                "customer": person(n), "event": order(n), "links": {"unsubscribe": "https://x.example/u/" + "x" * 40},
                "sender": {"name": "Klangladen", "postal_address": "Hafenstr. 1"}, "subject": "x",
            }  # fmt: skip
            mail = EmailMessage()
            mail["Subject"] = f"{person(n)['first_name']}, four records for {person(n)['city']}"
            mail["From"], mail["To"] = "hallo@klangladen.example", f"c{n}@example.com"
            mail["Message-ID"] = make_msgid(domain="klangladen.example")
            mail.set_content(words.render(names))
            mail.add_alternative(page.render(names), subtype="html")
            smtp.send_message(mail)
    tell(len(range(int(half), int(count), SENDERS)))


@dataclass
class Measured:
    """How many mails were sent in how many seconds, and what each cost in microseconds of CPU and in bytes."""

    sent: int
    seconds: float
    senders: float
    sink: float = 0.0
    size: float = 0.0

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    def taken(self, counted: Sequence[int]) -> Measured:
        """Add what the sink counted: the same number of mails, or this was no measurement."""
        messages, size, cpu = counted
        assert messages == self.sent, f"{self.sent} were sent and {messages} came"
        return replace(self, sink=cpu / messages, size=size / messages)


def timed(commands: Sequence[Sequence[str]]) -> Measured:
    """Run the sending processes side by side, and time them from the start signal on."""
    pipe = subprocess.PIPE
    me = [sys.executable, "-m", "benchmarks.delivery"]
    processes = [
        subprocess.Popen([*me, *command], stdin=pipe, stdout=pipe, text=True) for command in commands
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [
        [int(word) for word in process.stdout.readline().split()] for process in processes if process.stdout
    ]
    seconds = time.perf_counter() - started
    for process in processes:
        process.communicate()
    sent = sum(n for n, _ in told)
    return Measured(sent, seconds, sum(cpu for _, cpu in told) / sent)


@contextmanager
def workspace(database: str, port: int) -> Iterator[Path]:
    """Give a copy of the workspace whose settings name this database and the sink."""
    with tempfile.TemporaryDirectory(prefix="treue-bench-") as folder:
        root = Path(folder) / "mailing"
        shutil.copytree(WORKSPACE, root)
        os.environ.update(BENCH_DATABASE=database, BENCH_SMTP=f"smtp://127.0.0.1:{port}")
        yield root


def ours(database: str, count: int) -> Measured:
    """Measure Treue's own delivery."""
    with sink() as (port, taken), workspace(database, port) as root:
        with assembled(load(root, installed_adapters), deliver=False) as assembly:
            assembly.publish(START)
            fill(assembly, count)
        measured = timed([["--work", str(root)]] * SENDERS)
        assert measured.sent == count, f"{measured.sent} of {count} were sent"
    return measured.taken(taken)


def plain(count: int) -> Measured:
    """Measure the plain script."""
    with sink() as (port, taken):
        halves = [["--script", str(WORKSPACE), str(port), str(half), str(count)] for half in range(SENDERS)]
        measured = timed(halves)
    return measured.taken(taken)


def run(small: bool = False) -> None:
    """Print the figures, and what they are in times of the plain script."""
    count = 400 if small else 20_000
    print(f"\nDelivery of {count:,} mails to an SMTP sink: {SENDERS} sending processes, and the sink")
    script_found = plain(count // 5)
    report("plain script, recording nothing", script_found, script_found)
    report("treue, SQLite", ours("sqlite:///bench.db", count), script_found)
    with postgres() as found:
        if found is not None:
            address = found.url.render_as_string(hide_password=False)
            report("treue, PostgreSQL", ours(address, count), script_found)


def report(name: str, found: Measured, script_found: Measured) -> None:
    print(
        f"  {name:32} {found.rate:6.0f} messages/s, {found.rate / script_found.rate:4.1f} times; {found.size:.0f} bytes, "
        f"CPU {found.senders:.0f} µs a mail, the sink {found.sink:.0f} µs"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2])
    elif sys.argv[1:2] == ["--script"]:
        script(*sys.argv[2:6])
    else:
        run("--small" in sys.argv)

"""Messages a second from the outbox to an SMTP sink, beside the plain script everybody writes first.

    python -m benchmarks.delivery            5,000 mails
    python -m benchmarks.delivery --small    200, to see that it works

The sink is the built-in inbox (aiosmtpd in a process of its own), the same for both. The plain script renders
the same template with Jinja2, builds an `email.message.EmailMessage`, sends it with smtplib over one connection,
and records nothing; Treue claims, looks once more at consent and suppression, renders in the sandbox, writes the
mail with its unsubscribe headers, logs, sends, and records each message's fate.
"""

from __future__ import annotations

import smtplib
import sys
import time
from datetime import timedelta
from email.message import EmailMessage
from email.utils import make_msgid

from benchmarks.shop import START, fill, workspace
from treue.channel import Outgoing, service_factory
from treue.engine.assembly import Assembly
from treue.engine.delivery.outbox import claim
from treue.engine.engine import run_pass


def ours(assembly: Assembly, count: int) -> float:
    """Return messages a second through Treue's own delivery."""
    fill(assembly, count)
    delivery, assembly.engine.delivery = assembly.engine.delivery, None
    run_pass(assembly.engine, START + timedelta(minutes=2), ["welcome"])
    assembly.engine.delivery = delivery
    assert delivery is not None
    version = next(v for v in assembly.engine.versions() if v.name == "welcome")
    started = time.perf_counter()
    delivered = delivery.deliver(version.journey_id, START + timedelta(minutes=3))
    assert delivered.sent > count * 0.9, delivered
    return delivered.sent / (time.perf_counter() - started)


def plain(assembly: Assembly, count: int) -> float:
    """Return messages a second of the plain script: Jinja2, email.message, smtplib."""
    from jinja2 import Environment

    html, text = _template(assembly)
    environment = Environment(autoescape=True)
    people = [
        {"first_name": "Käthe" if n % 2 else "Grace", "email": f"p{n}@example.com"} for n in range(count)
    ]
    with service_factory("inbox")(assembly.state / "plain.db") as inbox:
        host, port = inbox.smtp_url.removeprefix("smtp://").split(":")
        started = time.perf_counter()
        page, words = environment.from_string(html), environment.from_string(text)
        with smtplib.SMTP(host, int(port)) as smtp:
            for person in people:
                mail = EmailMessage()
                mail["Subject"], mail["From"], mail["To"] = (
                    "Danke",
                    "hallo@klangladen.example",
                    person["email"],
                )
                mail["Message-ID"] = make_msgid(domain="klangladen.example")
                mail.set_content(words.render(customer=person))
                mail.add_alternative(page.render(customer=person), subtype="html")
                smtp.send_message(mail)
        return count / (time.perf_counter() - started)


def _template(assembly: Assembly) -> tuple[str, str]:
    """Return the bodies of a real mail of ours, with the customer's name as a variable."""
    fill(assembly, 2)
    delivery, assembly.engine.delivery = assembly.engine.delivery, None
    run_pass(assembly.engine, START + timedelta(minutes=2), ["welcome"])
    version = next(v for v in assembly.engine.versions() if v.name == "welcome")
    claimed = claim(assembly.store, version.journey_id, "email", START + timedelta(minutes=3), "bench", 1)
    assert delivery is not None
    written = delivery.composer.compose(claimed, START)[0]
    assert isinstance(written, Outgoing)
    rendered = assembly.renderer.render("email", "welcome", delivery.composer.context(claimed[0], [], START))  # type: ignore[attr-defined]
    name = str(claimed[0].customer["first_name"])
    return rendered.html.replace(name, "{{ customer.first_name }}"), rendered.text.replace(
        name, "{{ customer.first_name }}"
    )  # type: ignore[union-attr]


def run(small: bool = False) -> None:
    """Print both figures and their ratio."""
    count = 200 if small else 5_000
    with workspace(deliver=True) as assembly:
        script = plain(assembly, count)
    with workspace(deliver=True) as assembly:
        treue = ours(assembly, count)
    print(f"\nDelivery of {count:,} mails to an SMTP sink in another process")
    print(f"  plain script  {script:8.0f} messages/s")
    print(f"  treue         {treue:8.0f} messages/s, {treue / script:.2f} times the plain script")


if __name__ == "__main__":
    run("--small" in sys.argv)

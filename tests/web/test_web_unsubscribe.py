"""The way out: shown to people, obeyed at one click, never taken by a scanner, never by a forger."""

from __future__ import annotations

import contextlib
import random
import re
import socket

import httpx
import pytest
from sqlalchemy import select

from tests.web.serving import Site
from treue.engine.passes.chronology import run_pass
from treue.model.states import MessageState
from treue.model.tables import consent, customer, event, message
from treue.store import consents
from treue.store.inputs import ConsentInput
from treue.web import limits

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def links(world: Site) -> list[str]:
    """The paths of the unsubscribe links in the headers of two mails that have gone out: Ada's and Bob's."""
    for name, locale in (("ada", "de"), ("bob", "en")):
        person = {"id": name, "email": f"{name}@example.com", "locale": locale}
        word = {"source": "form", "wording": "Ja"}
        world.post("/v1/customers", person | {"consent": {"email": word, "sms": word}})
        world.post("/v1/events", {"id": f"o-{name}", "customer": name, "event": "order.placed"})
    run_pass(world.assembly.engine, world.now)
    found = []
    for name in ("ada", "bob"):
        listed = world.client.get("/inbox/api/messages", params={"recipient": f"{name}@example.com"}).json()
        mail = world.client.get(f"/inbox/api/messages/{listed['messages'][0]['id']}").json()
        (header,) = [value for key, value in mail["headers"] if key == "List-Unsubscribe"]
        path = re.search(r"<https?://[^/>]+(/u/[^>]+)>", header)
        assert path
        found.append(path[1])
    return found


def _agreed(world: Site, channel: str = "email") -> set[str]:
    joined = select(customer.c.key).join(consent, consent.c.customer_id == customer.c.id)
    return {row.key for row in world.rows(joined.where(consent.c.channel == channel, consent.c.given))}


def test_looking_ten_times_changes_nothing(world: Site, links: list[str]) -> None:
    events = world.count(event)
    for _ in range(10):
        assert world.client.get(links[0]).status_code == 200
        assert world.client.head(links[0]).status_code == 200
    assert _agreed(world) == {"ada", "bob"}
    assert world.count(event) == events


@pytest.mark.parametrize("way", ["urlencoded", "multipart"])
def test_one_click_is_a_bare_200_and_repeating_it_changes_nothing(
    world: Site, links: list[str], way: str
) -> None:
    for _ in range(3):
        with httpx.Client(base_url=str(world.client.base_url)) as stranger:
            if way == "urlencoded":
                answer = stranger.post(links[0], data=ONE_CLICK)
            else:
                answer = stranger.post(links[0], files={"List-Unsubscribe": (None, "One-Click")})
        assert (answer.status_code, answer.content) == (200, b"")
        assert not {"location", "set-cookie"} & set(answer.headers)
    assert _agreed(world) == {"bob"}
    assert world.count(event, event.c.name == "consent.withdrawn") == 1


BODIES = {
    "nothing": (b"", ""),
    "21 fields": (b"&".join(b"a%d=1" % n for n in range(21)), "application/x-www-form-urlencoded"),
    "100,000 fields": (b"a=1&" * 100_000, "application/x-www-form-urlencoded"),
    "no UTF-8": (b"\xff\xfe%ff=\x00&way=\xc3", "application/x-www-form-urlencoded; charset=utf-8"),
    "broken escapes": (b"%&%zz=%1&;;&===", "application/x-www-form-urlencoded"),
    "an unknown charset": (
        b"List-Unsubscribe=One-Click",
        "application/x-www-form-urlencoded; charset=nonsense",
    ),
    "a choice that is none": (b"what=nothing&List-Unsubscribe=No", "application/x-www-form-urlencoded"),
    "multipart without an end": (
        b"--x\r\nContent-Disposition: form-data\r\n\r\n",
        "multipart/form-data; boundary=x",
    ),
    "multipart without a boundary": (b"--x--", "multipart/form-data"),
    "nested multipart": (
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n",
        "multipart/form-data; boundary=x",
    ),
    "JSON": (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
    "deep JSON": (b"[" * 100_000, "application/json"),
    "broken XML": (b"<a><b></a>", "text/xml"),
    "no type at all": (bytes(range(256)), "!"),
    "over the limit": (b"x" * (limits.MAX_BODY + 1), "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize("body", BODIES)
def test_one_click_unsubscribes_whatever_its_body_is(world: Site, links: list[str], body: str) -> None:
    content, kind = BODIES[body]
    answer = world.client.post(links[0], content=content, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.content) == (200, b"")
    assert _agreed(world) == {"bob"}


@pytest.mark.parametrize(
    "head",
    [
        "Content-Encoding: gzip\r\nContent-Length: 3",
        f"Content-Length: {10**12}",
        "Content-Encoding: x\r\nContent-Length: 0",
    ],
)
def test_one_click_unsubscribes_though_its_body_could_not_be_read(
    world: Site, links: list[str], head: str
) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        sock.sendall(f"POST {links[0]} HTTP/1.1\r\nHost: shop.example\r\n{head}\r\n\r\nabc".encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert _agreed(world) == {"bob"}


def test_one_click_unsubscribes_though_its_body_never_ends(world: Site, links: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as sock:
        sock.sendall(
            f"POST {links[0]} HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        with contextlib.suppress(OSError):  # the server has answered and closed
            while sent < 64 * len(chunk):
                sock.sendall(chunk)
                sent += len(chunk)
            sock.recv(1)
    assert _agreed(world) == {"bob"}
    assert world.client.get("/healthz").status_code == 200


def test_a_forged_token_with_a_body_that_does_not_fit_is_still_unknown(world: Site, links: list[str]) -> None:
    answer = world.client.post(links[0][:-1] + "!", content=b"x" * (limits.MAX_BODY + 1))
    assert answer.status_code == 404
    assert _agreed(world) == {"ada", "bob"}


def test_the_withdrawal_is_kept_with_its_proof(world: Site, links: list[str]) -> None:
    world.client.post(links[0], data=ONE_CLICK)
    ((source, proof, since),) = world.rows(
        select(consent.c.source, consent.c.proof, consent.c.since).where(~consent.c.given)
    )
    assert (source, proof["way"], since) == ("unsubscribe link", "one-click", world.now)
    ids = world.rows(select(message.c.id).where(message.c.id == proof["message"]))
    assert len(ids) == 1


def test_it_wakes_the_passes_which_let_the_customer_out(world: Site, links: list[str]) -> None:
    world.woken.clear()
    world.client.post(links[0], data=ONE_CLICK)
    assert world.woken.wait(10)
    run_pass(world.assembly.engine, world.now)
    with world.assembly.store.reading() as connection:
        from treue.store.journey_counts import journey_counts

        left = journey_counts(connection, ["welcome"])["welcome"].exited
    assert sum(left.values()) == 1


def test_after_it_not_even_a_queued_message_is_claimed_for_sending(world: Site, links: list[str]) -> None:
    """A message that is in the outbox already is stopped at the last look, before any pass notices the exit."""
    with world.assembly.store.transaction() as connection:
        connection.execute(
            message.update().values(state=MessageState.queued.value, sent_at=None, attempts=0, fence=0)
        )
    world.client.post(links[0], data=ONE_CLICK)
    ids = {row.journey_id for row in world.rows(select(message.c.journey_id))}
    for journey_id in ids:
        world.assembly.engine.deliver(journey_id, world.now)
    states = {
        (row.key, row.state)
        for row in world.rows(
            select(customer.c.key, message.c.state).join(message, message.c.customer_id == customer.c.id)
        )
    }
    assert states == {("ada", "refused"), ("bob", "sent")}


def test_the_form_on_the_page_unsubscribes_and_says_so(world: Site, links: list[str]) -> None:
    page = world.client.get(links[0]).text
    assert 'method="post"' in page
    assert "E-Mails abbestellen?" in page
    answer = world.client.post(links[0], data={"way": "page", "what": "channel"})
    assert answer.status_code == 200
    assert "Du bist abgemeldet." in answer.text
    assert not {"location", "set-cookie"} & set(answer.headers)
    assert _agreed(world) == {"bob"}
    assert _agreed(world, "sms") == {"ada", "bob"}
    assert "bereits abbestellt" in world.client.get(links[0]).text


def test_the_page_can_unsubscribe_from_every_channel(world: Site, links: list[str]) -> None:
    answer = world.client.post(links[1], data={"way": "page", "what": "all"})
    assert "You are unsubscribed from everything." in answer.text
    assert _agreed(world) == {"ada"}
    assert _agreed(world, "sms") == {"ada"}


def test_one_click_ends_its_own_channel_whatever_else_the_body_says(world: Site, links: list[str]) -> None:
    answer = world.client.post(links[1], data=ONE_CLICK | {"what": "all"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert _agreed(world) == {"ada"}
    assert _agreed(world, "sms") == {"ada", "bob"}


def test_an_older_consent_that_arrives_late_does_not_undo_it(world: Site, links: list[str]) -> None:
    world.client.post(links[0], data=ONE_CLICK)
    with world.assembly.store.transaction() as connection:
        consents.give(
            connection, [ConsentInput("ada", "email", world.now.replace(hour=8), source="late")], world.now
        )
    assert _agreed(world) == {"bob"}


@pytest.mark.parametrize(
    ("accept", "words"),
    [("en-GB,en;q=0.9,de;q=0.8", "Unsubscribe"), ("fr, de;q=0.5", "abbestellen"), ("", "abbestellen")],
)
def test_the_page_speaks_the_browsers_language_where_the_customers_is_not_known(
    world: Site, links: list[str], accept: str, words: str
) -> None:
    with world.assembly.store.transaction() as connection:
        connection.execute(customer.update().values(locale=None))
    assert words in world.client.get(links[0], headers={"Accept-Language": accept}).text


def test_the_page_loads_nothing_and_runs_nothing(world: Site, links: list[str]) -> None:
    answer = world.client.get(links[0])
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"<(script|img|link|iframe)|https?://|url\(", answer.text)
    assert answer.headers["cache-control"] == "no-store"


def test_no_flipped_bit_of_a_token_is_accepted(world: Site, links: list[str]) -> None:
    token = links[0].removeprefix("/u/")
    draw = random.Random(3)
    for _ in range(10_000):
        made = bytearray(token.encode())
        made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)
        changed = made.decode("latin-1")
        assert world.assembly.links.read(changed, "unsubscribe", "preferences") is None, changed


def test_a_forged_token_is_a_page_that_says_so_and_withdraws_nothing(world: Site, links: list[str]) -> None:
    token = links[0].removeprefix("/u/")
    shown = world.assembly.links.token("view", 1, "email")
    for forged in (token[:-1], token + "A", "A" * len(token), shown, "%00", "%2e%2e", "x" * 5_000):
        for answer in (world.client.get(f"/u/{forged}"), world.client.post(f"/u/{forged}", data=ONE_CLICK)):
            assert answer.status_code == 404
    assert _agreed(world) == {"ada", "bob"}


def test_a_token_of_somebody_who_was_erased_still_answers_200(world: Site, links: list[str]) -> None:
    with world.assembly.store.transaction() as connection:
        for table in (message, customer):
            connection.execute(table.delete())
    assert world.client.get(links[0]).status_code == 200
    answer = world.client.post(links[0], data=ONE_CLICK)
    assert (answer.status_code, answer.content) == (200, b"")
    assert world.count(customer) == 0

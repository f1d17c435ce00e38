"""Mails that come back into a mailbox: what they do to messages and addresses, and who cannot make them do it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.bounces.returned_mails import BACK_TO, complaint, status
from tests.engine.scene import Scene
from treue.delivery.mailroom import look, looking
from treue.errors import MailboxError
from treue.model.tables import customer, message, suppression
from treue.render.mail.return_paths import ReturnPaths

SEND = "enter: {event: order.placed}\nsteps: [{send: hello, on: email}]\n"
PATHS = ReturnPaths(b"secret")


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """An empty Maildir."""
    for place in ("cur", "new", "tmp"):
        (tmp_path / "box" / place).mkdir(parents=True)
    return tmp_path / "box"


@pytest.fixture
def numbers(scene: Scene) -> dict[str, int]:
    """Messages that were sent, by their customers."""
    scene.journeys(hello=SEND)
    for key in ("ada", "bob", "eve"):
        scene.customer(key, consent="email")
        scene.event(key, "order.placed", total=1)
    scene.run()
    query = select(customer.c.key, message.c.id).join(message, message.c.customer_id == customer.c.id)
    with scene.store.reading() as connection:
        return {row.key: row.id for row in connection.execute(query)}


def _to(address: str, mail: bytes) -> bytes:
    return mail.replace(BACK_TO.encode(), address.encode())


def _came(box: Path, *mails: bytes) -> None:
    for mail in mails:
        (box / "new" / f"{len(list(box.rglob('*.x*')))}.x").write_bytes(mail)


def _state(scene: Scene) -> tuple[list[str], dict[str, tuple[bool, bool]]]:
    """The suppressed addresses; of each customer whether the message bounced, and was complained about."""
    query: Any = select(customer.c.key, message.c.bounced_at, message.c.complained_at)
    query = query.join(message, message.c.customer_id == customer.c.id).order_by(customer.c.key)
    with scene.store.reading() as connection:
        listed = list(connection.scalars(select(suppression.c.address).order_by(suppression.c.address)))
        marks = {
            row.key: (bool(row.bounced_at), bool(row.complained_at)) for row in connection.execute(query)
        }
    return listed, marks


def test_what_comes_back_is_kept_on_its_message_and_only_a_dead_address_is_given_up(
    scene: Scene, numbers: dict[str, int], box: Path
) -> None:
    dead = _to(PATHS.address(numbers["ada"], "b.example"), status("5.1.1", "550 5.1.1 user unknown"))
    policy = _to(PATHS.address(numbers["bob"], "b.example"), status("5.7.1", "550 5.7.1 user unknown"))
    spam = _to(PATHS.address(numbers["eve"], "b.example"), complaint())
    _came(box, dead, policy, spam)
    found = look(str(box), scene.store, PATHS, scene.now)
    assert (found.read, found.ours) == (3, 3)
    assert _state(scene) == (
        ["ada@example.com", "eve@example.com"],
        {"ada": (True, False), "bob": (True, False), "eve": (False, True)},
    )
    assert look(str(box), scene.store, PATHS, scene.now).read == 0


def test_a_bounce_that_anybody_could_have_written_changes_nothing(
    scene: Scene, numbers: dict[str, int], box: Path
) -> None:
    before = _state(scene)
    theirs = ReturnPaths(b"guessed").address(numbers["ada"], "b.example")
    others = PATHS.address(numbers["bob"], "b.example").replace(
        f"b+{numbers['bob']}-", f"b+{numbers['ada']}-"
    )
    _came(box, *(_to(address, status()) for address in (theirs, others, "postmaster@b.example", BACK_TO)))
    found = look(str(box), scene.store, PATHS, scene.now)
    assert (found.read, found.ours) == (4, 0)
    assert _state(scene) == before


def test_the_recipient_that_a_bounce_names_is_not_whom_it_is_about(
    scene: Scene, numbers: dict[str, int], box: Path
) -> None:
    mine = PATHS.address(numbers["ada"], "b.example")
    _came(box, _to(mine, status("5.1.1", "550 5.1.1 user unknown", to="bob@example.com")))
    look(str(box), scene.store, PATHS, scene.now)
    assert _state(scene)[0] == ["ada@example.com"]


def test_the_mailbox_is_looked_into_again_and_again_and_trouble_is_told_once(
    scene: Scene, numbers: dict[str, int], box: Path
) -> None:
    told, twice = list[str](), threading.Event()
    there = box.rename(box.with_name("elsewhere"))

    def tell(said: str) -> None:
        told.append(said)
        twice.set()

    with looking(str(box), scene.store, PATHS, tell, every=0.01):
        assert twice.wait(10)
        _came(there, _to(PATHS.address(numbers["ada"], "b.example"), status()))
        there.rename(box)
        for _ in range(1000):
            if _state(scene)[0]:
                break
            threading.Event().wait(0.01)
    assert _state(scene)[0] == ["ada@example.com"]
    assert told == [
        f"Bounces were not read: {box} is no mailbox: neither a Maildir (with cur/ and new/) nor an mbox file."
    ]
    with pytest.raises(MailboxError):
        look(str(box.with_name("nowhere")), scene.store, PATHS, scene.now)

"""Recipients at which the relay breaks the connection: they come last and alone, and keep nobody else waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.channels.smtp_server import HANG_UP, SILENCE, Script, Server
from treue.channel import Accepted, Outgoing, Receipt, Retry, Unknown
from treue.testing.channel_contract import Log, example_message
from treue_channels.smtp import Smtp

HOWS = (HANG_UP, SILENCE, "421 4.3.2 closing", "nonsense")
WAYS = [(stage, how) for stage in ("rcpt", "data", "dot") for how in HOWS]
BREAKING = [f"bad{n}@example.com" for n in range(2 * len(WAYS))]
GOOD = [f"good{n}@example.com" for n in range(32)]


def breaking() -> dict[str, str | list[str]]:
    return {f"{stage} {to}": how for (stage, how), to in zip(WAYS * 2, BREAKING, strict=True)}


def mails(addresses: Sequence[str]) -> list[Outgoing]:
    return [replace(example_message("email", n), to=to) for n, to in enumerate(addresses)]


def sent(adapter: Smtp, addresses: Sequence[str]) -> dict[str, Receipt]:
    log = Log()
    receipts = adapter.send(mails(addresses), log)
    assert [log.receipts[f"contract-{n}"] for n in range(len(addresses))] == receipts
    return dict(zip(addresses, receipts, strict=True))


@pytest.mark.parametrize(
    "order",
    [GOOD[:2] + BREAKING + GOOD[2:], BREAKING + GOOD, BREAKING[:12] + GOOD + BREAKING[12:]],
    ids=["after-two", "first", "around"],
)
def test_whom_the_relay_takes_is_sent_to_in_the_same_batch(
    smtp: Smtp, script: Script, order: list[str]
) -> None:
    script.answers = breaking()
    if order[:2] != GOOD[:2]:  # seeing that it is silent takes its time: once is enough
        script.answers |= {where: HANG_UP for where, how in script.answers.items() if how == SILENCE}
    receipts = sent(smtp, order)
    assert {to for to in GOOD if not isinstance(receipts[to], Accepted)} == set()
    assert sorted(one.recipient for one in script.taken if one.recipient in GOOD) == sorted(GOOD)
    for to in BREAKING:
        assert isinstance(receipt := receipts[to], Retry | Unknown)
        assert receipt.alone or (isinstance(receipt, Retry) and receipt.everyone), receipt


@pytest.mark.parametrize("how", [HANG_UP, "421 4.3.2 closing", "nonsense"])
@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_what_breaks_a_connection_that_carried_others_is_tried_once_more_after_all_on_one_of_its_own(
    smtp: Smtp, script: Script, stage: str, how: str
) -> None:
    script.answers[f"{stage} {BREAKING[0]}"] = [how, "250 ok" if stage == "rcpt" else "354 go on"]
    receipts = sent(smtp, [*GOOD[:5], BREAKING[0], *GOOD[5:]])
    assert {to for to in GOOD if not isinstance(receipts[to], Accepted)} == set()
    taken = [one.recipient for one in script.taken]
    if how.startswith("421"):  # it said of this message that it takes none now
        assert isinstance(receipt := receipts[BREAKING[0]], Retry)
        assert receipt.alone
        assert len(taken) == len(GOOD)
    elif isinstance(receipts[BREAKING[0]], Accepted):
        assert taken[-1] == BREAKING[0] or taken.index(BREAKING[0]) == 5, (
            "last, or at once where it was heard of at MAIL"
        )


@pytest.mark.parametrize("how", [HANG_UP, "421 4.3.2 closing", "nonsense"])
def test_a_relay_that_has_taken_nothing_is_left_alone_after_three(
    smtp: Smtp, script: Script, how: str
) -> None:
    script.answers["rcpt"] = how
    receipts = sent(smtp, GOOD)
    assert script.connections == 3
    assert sum(isinstance(one, Retry) and one.everyone for one in receipts.values()) == len(GOOD) - 3


def test_a_relay_that_took_some_and_then_breaks_at_everybody_is_left_alone(
    smtp: Smtp, script: Script
) -> None:
    script.answers = {f"rcpt {to}": HANG_UP for to in GOOD[5:]}
    receipts = sent(smtp, GOOD)
    assert [isinstance(receipts[to], Accepted) for to in GOOD] == [True] * 5 + [False] * 27
    assert script.connections <= 12


@pytest.mark.parametrize("most", [1, 10, 100])
def test_a_connection_carries_so_many_messages_and_is_left_with_a_goodbye(
    server: Server, script: Script, most: int
) -> None:
    adapter = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=5&sessions=1&max_per_connection={most}")
    adapter.send([example_message("email", n) for n in range(30)], Log())
    adapter.send([example_message("email", n) for n in range(30, 41)], Log())
    adapter.close()
    assert [one.recipient for one in script.taken] == [f"customer{n}@example.com" for n in range(41)]
    assert script.connections == -(-41 // most)
    assert [line.upper() for line in script.heard].count("QUIT") == script.connections


def test_without_a_setting_a_connection_carries_a_hundred(server: Server, script: Script) -> None:
    adapter = Smtp(url=f"smtp://127.0.0.1:{server.port}?timeout=5&sessions=1")
    for start in range(0, 250, 50):
        adapter.send([example_message("email", n) for n in range(start, start + 50)], Log())
    adapter.close()
    assert len(script.taken) == 250
    assert script.connections == 3

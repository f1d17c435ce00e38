"""Many requests over one connection, and what became of each: answered, certainly not processed, or nobody knows."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2.errors import ErrorCodes

from tests.channels.calls import certificate, trusting
from tests.channels.h2_server import (
    LAST,
    Came,
    GoAway,
    H2Server,
    HangUp,
    Happening,
    Raw,
    Reply,
    Reset,
    Silence,
)
from treue_channels.http.http2 import Answer, Fate, Http2, Lost, Post, Untouched


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("h2"))


class Echo(H2Server):
    def answer(self, came: Came) -> Happening:
        return Reply(200, {"x-path": came.path}, came.body)


@pytest.fixture
def server(files: tuple[Path, Path]) -> Iterator[Echo]:
    with Echo(files) as running:
        yield running


def client(server: H2Server, files: tuple[Path, Path], seconds: float = 5.0) -> Http2:
    host, _, port = server.address.partition(":")
    return Http2(host, int(port), trusting(files), seconds)


@pytest.fixture
def http(server: Echo, files: tuple[Path, Path]) -> Iterator[Http2]:
    made = client(server, files)
    yield made
    made.close()


def posts(count: int, size: int = 10) -> deque[Post]:
    return deque(Post(n, f"/{n}", (("x-n", str(n)),), f"{n}".encode() * size) for n in range(count))


def fates(http: Http2, waiting: deque[Post]) -> dict[int, Fate]:
    found = dict(http.exchange(waiting, lambda _: True))
    assert not waiting
    return found


def kinds(found: dict[int, Fate]) -> list[type]:
    return [type(found[n]) for n in sorted(found)]


def test_each_request_gets_its_own_answer(http: Http2, server: Echo) -> None:
    found = fates(http, posts(300))
    assert kinds(found) == [Answer] * 300
    assert all(found[n] == Answer(200, {"x-path": f"/{n}"}, f"{n}".encode() * 10) for n in range(300))
    assert server.connections == 1


def test_requests_start_in_their_order(http: Http2, server: Echo) -> None:
    started: list[int] = []
    list(http.exchange(posts(250), lambda number: not started.append(number)))
    assert started == list(range(250))
    assert [came.path for came in server.came] == [f"/{n}" for n in range(250)]


def test_no_more_streams_are_open_than_the_server_takes(files: tuple[Path, Path]) -> None:
    with Echo(files, streams=7) as server:
        assert kinds(fates(client(server, files), posts(60))) == [Answer] * 60
        assert 1 <= server.most_at_once <= 7


def test_bodies_wait_for_the_servers_windows(files: tuple[Path, Path]) -> None:
    server = H2Server(files)
    server.window = 1_000
    with server:
        assert kinds(fates(client(server, files), posts(40, size=4_000))) == [Answer] * 40
        assert {came.path: came.body for came in server.came} == {
            f"/{n}": f"{n}".encode() * 4_000 for n in range(40)
        }


def test_the_connection_is_kept_for_the_next_exchange(http: Http2, server: Echo) -> None:
    fates(http, posts(3))
    fates(http, posts(3))
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_costs_nothing(http: Http2, server: Echo) -> None:
    fates(http, posts(3))
    server.hang_up()
    assert kinds(fates(http, posts(3))) == [Answer] * 3
    assert server.connections == 2


def test_what_a_goodbye_says_was_not_processed_is_made_again(http: Http2, server: Echo) -> None:
    server.next = [Reply(), Reply(), GoAway(last=3)]
    found = fates(http, posts(30))
    assert kinds(found) == [Answer] * 30
    assert server.connections == 2
    assert [came.path for came in server.came if came.connection == 2] == [f"/{n}" for n in range(2, 30)]


def test_what_a_goodbye_says_was_processed_and_is_not_answered_is_lost(http: Http2, server: Echo) -> None:
    server.next = [Reply(), Reply(), GoAway(last=7)]
    found = fates(http, posts(30))
    assert kinds(found) == [Answer, Answer, Lost, Lost, *[Answer] * 26]


def test_after_a_graceful_goodbye_what_was_taken_is_still_answered(http: Http2, server: Echo) -> None:
    server.next = [GoAway(last=LAST, then=Reply(), hang_up=False)]
    found = fates(http, posts(30))
    assert kinds(found) == [Answer] * 30
    assert fates(http, posts(1))
    assert server.connections == 2


def test_a_server_that_says_goodbye_again_and_again_is_left(http: Http2, server: Echo) -> None:
    server.next = [GoAway(last=0)] * 50
    assert kinds(fates(http, posts(5))) == [Untouched] * 5
    assert server.connections == 3


def test_a_refused_stream_was_not_processed_any_other_reset_leaves_a_doubt(http: Http2, server: Echo) -> None:
    server.next = [Reply(), Reset(), Reset(ErrorCodes.INTERNAL_ERROR)]
    assert kinds(fates(http, posts(4))) == [Answer, Untouched, Lost, Answer]


def test_a_connection_that_breaks_leaves_what_is_under_way_in_doubt(http: Http2, server: Echo) -> None:
    server.streams = 100
    server.next = [Reply(), HangUp]
    found = fates(http, posts(10))
    assert isinstance(found[0], Answer)
    assert isinstance(found[1], Lost)
    assert len(found) == 10


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 200, b"\0\0\x08\x07\0\0\0\0\0", b"\0\0\0\x01\x05\0\0\0\x03",
        b"\0\0\x05\x01\x05\0\0\0\x03\x08\x03abc", b"\0\0\x03\x01\x05\0\0\0\x03\x08\x01\xff", b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0",
    ],
    ids=["text", "noise", "short goodbye", "no headers", "a status that is no number", "a status that is no text", "no window"],
)  # fmt: skip
def test_whatever_a_server_says_is_a_fate(files: tuple[Path, Path], server: Echo, data: bytes) -> None:
    server.next = [Reply(), Raw(data)]
    found = fates(client(server, files, seconds=0.5), posts(2))
    assert kinds(found) == [Answer, Lost]


def test_a_silent_server_is_waited_for_so_long(files: tuple[Path, Path], server: Echo) -> None:
    server.next = [Reply(), Silence]
    found = fates(client(server, files, seconds=0.3), posts(2))
    assert kinds(found) == [Answer, Lost]
    assert found[1] == Lost("The connection to 127.0.0.1 broke off: it took too long")


def test_what_is_taken_out_meanwhile_is_not_made(files: tuple[Path, Path]) -> None:
    with Echo(files, streams=1) as server:
        waiting = posts(10)
        for number, _ in client(server, files).exchange(waiting, lambda _: True):
            if number == 2:
                waiting.clear()
        assert len(server.came) <= 4


def test_a_server_without_a_trusted_certificate_gets_nothing(server: Echo) -> None:
    host, _, port = server.address.partition(":")
    found = fates(Http2(host, int(port), ssl.create_default_context(), 5.0), posts(2))
    assert kinds(found) == [Untouched] * 2
    assert "its certificate is not trusted" in found[0].reason  # type: ignore[union-attr]
    assert server.came == []


def test_a_server_without_http_2_gets_nothing(files: tuple[Path, Path]) -> None:
    with H2Server(files, protocol="http/1.1") as server:
        found = fates(client(server, files), posts(2))
        assert found[0] == Untouched(f"{server.address} cannot be reached: it speaks no HTTP/2")


def test_where_nobody_listens_nothing_was_processed(files: tuple[Path, Path]) -> None:
    assert kinds(fates(Http2("127.0.0.1", 9, trusting(files), 1.0), posts(3))) == [Untouched] * 3

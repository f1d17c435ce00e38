"""Calls go where they may, signed, and nowhere else, whatever a customer's data or a name server says."""

from __future__ import annotations

import base64
import ipaddress
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.channels.calls import HOST, PUBLIC, Network, Receiver, certificate, receiving, resolving, trusting
from treue.channel import Accepted, Kind, Outgoing, Receipt, Refused, Retry, Unknown
from treue.testing.channel_contract import ChannelContract, Log
from treue_channels.calls import Calls
from treue_channels.http.public_network import is_public

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("receiver"))


@pytest.fixture
def receiver(files: tuple[Path, Path]) -> Iterator[Receiver]:
    with receiving(files) as made:
        yield made


@pytest.fixture
def network(receiver: Receiver) -> Network:
    return Network(receiver.port)


@pytest.fixture
def channel(network: Network, files: tuple[Path, Path]) -> Iterator[Calls]:
    made = Calls(hosts=[HOST], resolve=resolving(PUBLIC), network=network, trust=trusting(files))
    yield made
    made.close()


def call(number: int = 0, to: str = f"https://{HOST}/new", body: bytes = b'{"a":1}', **data: str) -> Outgoing:
    return Outgoing(f"call-{number}", to, raw=body, data={"method": "POST", **data})


def send(channel: Calls, message: Outgoing) -> Receipt:
    return channel.send([message], Log())[0]


class TestCallsContract(ChannelContract):
    secrets = (SECRET,)

    @pytest.fixture
    def channel(self, network: Network, files: tuple[Path, Path], monkeypatch: Any) -> Iterator[Calls]:
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        made = Calls(hosts=[HOST], resolve=resolving(PUBLIC), network=network, trust=trusting(files))
        yield made
        made.close()

    @pytest.fixture
    def unreachable(self, files: tuple[Path, Path], monkeypatch: Any) -> Calls:
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return Calls(hosts=[HOST], resolve=resolving(PUBLIC), network=Network(port), trust=trusting(files))

    def message(self, number: int, kind: Kind = "webhook") -> Outgoing:
        return call(number, secret="HOOK_SECRET")

    def refused_message(self) -> Outgoing:
        return call(99, to="https://elsewhere.example.com/")


# --- what is sent -------------------------------------------------------------------------------------------


def test_standardwebhooks_verifies_what_is_sent(channel: Calls, receiver: Receiver, monkeypatch: Any) -> None:
    from standardwebhooks import Webhook as Verifier

    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert send(channel, call(secret="HOOK_SECRET", body='{"name":"Ä"}'.encode())) == Accepted("HTTP 200")
    (came,) = receiver.received
    assert Verifier(SECRET).verify(came.body, came.headers) == {"name": "Ä"}
    assert came.headers["webhook-id"] == "call-0"
    assert came.headers["content-type"] == "application/json"


def test_without_a_secret_it_goes_unsigned_but_with_its_id(channel: Calls, receiver: Receiver) -> None:
    send(channel, call())
    assert "webhook-signature" not in receiver.received[0].headers
    assert receiver.received[0].headers["webhook-id"] == "call-0"


def test_the_id_is_the_same_on_every_attempt(channel: Calls, receiver: Receiver) -> None:
    receiver.answers = [(503, {}, b"")]
    assert isinstance(send(channel, call(7)), Retry)
    assert isinstance(send(channel, call(7)), Accepted)
    assert receiver.effects == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_each_method_is_what_the_receiver_sees(channel: Calls, receiver: Receiver, method: str) -> None:
    body = b"" if method == "GET" else b"{}"
    send(channel, call(to=f"https://{HOST}/a/b?c=d%20e", body=body, method=method))
    assert (receiver.received[0].method, receiver.received[0].path) == (method, "/a/b?c=d%20e")
    assert receiver.received[0].headers["host"] == HOST


def test_nothing_of_ours_is_in_a_request(channel: Calls, receiver: Receiver, monkeypatch: Any) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver.answers = [(200, {"Set-Cookie": "a=b"}, b"")]
    send(channel, call(1))
    send(channel, call(2))
    for came in receiver.received:
        assert not {"cookie", "authorization", "proxy-authorization", "referer"} & set(came.headers)


def test_a_secret_that_is_not_there_or_is_none_waits_for_somebody_to_mend_it(
    channel: Calls, receiver: Receiver, monkeypatch: Any
) -> None:
    missing = send(channel, call(secret="HOOK_NOT_SET"))
    monkeypatch.setenv("HOOK_BROKEN", "not base64 at all!")
    broken = send(channel, call(secret="HOOK_BROKEN"))
    assert isinstance(missing, Retry)
    assert isinstance(broken, Retry)
    assert "HOOK_NOT_SET" in missing.reason
    assert "not base64" not in broken.reason
    assert receiver.received == []


# --- what is answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Accepted), (201, Accepted), (202, Accepted), (204, Accepted),
        (301, Refused), (302, Refused), (307, Refused), (400, Refused), (401, Refused), (403, Refused),
        (404, Refused), (410, Refused), (422, Refused),
        (408, Retry), (425, Retry), (429, Retry), (500, Retry), (502, Retry), (503, Retry), (504, Retry),
    ],
)  # fmt: skip
def test_every_answer_has_its_meaning(
    channel: Calls, receiver: Receiver, status: int, kind: type[Receipt]
) -> None:
    receiver.answers = [(status, {}, b"")]
    assert isinstance(send(channel, call()), kind)


def test_retry_after_is_heeded_as_seconds_and_as_a_date(channel: Calls, receiver: Receiver) -> None:
    from email.utils import format_datetime

    from treue.clock import utc_now

    then = format_datetime(utc_now().replace(microsecond=0), usegmt=True)
    receiver.answers = [(429, {"Retry-After": text}, b"") for text in ("120", then, "soon", "99999999")]
    waits = [send(channel, call(n)) for n in range(4)]
    assert [wait.after for wait in waits if isinstance(wait, Retry)] == [120.0, 1.0, 60.0, 86_400.0]


def test_a_receiver_that_breaks_off_leaves_its_fate_unknown(channel: Calls, receiver: Receiver) -> None:
    receiver.answers = [lambda handler: handler.connection.close()]
    assert isinstance(send(channel, call()), Unknown)


def test_a_receiver_that_drips_its_answer_is_not_waited_for(
    network: Network, receiver: Receiver, files: tuple[Path, Path]
) -> None:
    channel = Calls(
        hosts=[HOST], resolve=resolving(PUBLIC), network=network, trust=trusting(files), seconds=1.0
    )

    def drip(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1_000:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    receiver.answers = [drip]
    assert isinstance(send(channel, call()), Unknown)
    assert isinstance(send(channel, call(1)), Accepted), "the next one is not held up"
    channel.close()


def test_an_endless_answer_is_read_to_a_megabyte(channel: Calls, receiver: Receiver) -> None:
    written = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal written
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(1_000):
            handler.wfile.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            written += 65_536

    receiver.answers = [endless]
    assert send(channel, call()) == Accepted("HTTP 200")
    assert written < 20_000_000, "what the sockets' buffers hold, not all 65 MB"


# --- where it may go ----------------------------------------------------------------------------------------


def _spellings() -> list[str]:
    """Return 120 ways to write an address of this machine, of its network, or of its cloud's metadata."""
    plain = [
        "127.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.1",
        "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0x7f.0x0.0x0.0x1", "00000177.0.0.1", "127.0.0.1.", "127。0。0。1",
        "①②⑦.⓪.⓪.①", "１２７.0.0.1", "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost",
        "127.0.0.1.nip.io", "localtest.me", "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376",
        "169.254.43518", "metadata.google.internal", "10.0.0.1", "10.1", "192.168.0.1", "172.16.0.1", "100.64.0.1",
        "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "0300.0250.0.1", "3232235521",
    ]  # fmt: skip
    six = [
        "::1", "::", "0:0:0:0:0:0:0:1", "0000::0001", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "::7f00:1",
        "64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "fe80::1",
        "fe80::1%25lo", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "2001::7f00:1", "100::1", "fec0::1",
        "3fff::1", "::ffff:0:127.0.0.1", "::ffff:169.254.169.254", "5f00::1",
    ]  # fmt: skip
    hosts = [*plain, *(f"[{address}]" for address in six)]
    urls = [f"https://{host}/" for host in hosts]
    urls += [f"http://{host}/" for host in hosts[:8]]
    urls += [f"https://{HOST}@{host}/" for host in hosts[:8]]
    urls += [f"https://{host}#@{HOST}/" for host in hosts[:4]]
    urls += [f"https://{host}\\@{HOST}/" for host in hosts[:4]]
    urls += [f"https://{host}?@{HOST}/" for host in hosts[:4]]
    urls += [f"https://{host}%2f@{HOST}/" for host in hosts[:4]]
    urls += [
        f"https://{HOST}:8443/", f"https://{HOST}:0/", f"https://{HOST}:/", f"http://{HOST}/", f"//{HOST}/",
        f"https://{HOST}.evil.example/", f"https://{HOST}./", f"https://evil-{HOST}/", f"https://{HOST}\r\nX: y/",
        f"https://user:pass@{HOST}/", f"https:/{HOST}/", f"https:{HOST}", f"https://{HOST}\t/", f" https://{HOST}/",
        f"https://{HOST}\\..\\", "file:///etc/passwd", "gopher://127.0.0.1:6379/_X", "ftp://127.0.0.1/",
        f"https://{HOST}/\x00", f"https://{HOST}/ü", f"https://{HOST.replace('e', 'е')}/",
    ]  # fmt: skip
    return urls


def test_there_are_120_spellings() -> None:
    assert len(_spellings()) >= 120
    assert len(set(_spellings())) == len(_spellings())


@pytest.mark.parametrize("lists", [[HOST], []])
def test_no_spelling_of_a_private_address_is_called(
    network: Network, receiver: Receiver, files: tuple[Path, Path], lists: list[str]
) -> None:
    channel = Calls(hosts=lists, network=network, trust=trusting(files), resolve=resolving("127.0.0.1"))
    batch = [call(n, to=url) for n, url in enumerate(_spellings())]
    receipts = channel.send(batch, Log())
    channel.close()
    assert [
        m.to for m, r in zip(batch, receipts, strict=True) if not (isinstance(r, Refused) and r.forbidden)
    ] == []
    assert (network.hits, receiver.received) == ([], [])


PRIVATE = [
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1",
    "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%lo", "fec0::1",
    "ff02::1", "ff0e::1", "4000::1", "8000::1", "", "localhost", "127.1", "0x7f.1",
]  # fmt: skip
OPEN = ["8.8.8.8", PUBLIC, "1.1.1.1", "223.255.255.254", "2606:4700::1111", "2a00:1450:4001:80e::200e"]


def test_only_addresses_of_the_open_internet_are_public() -> None:
    assert [address for address in PRIVATE if is_public(address)] == []
    assert [address for address in OPEN if not is_public(address)] == []


def test_pythons_own_word_for_public_is_not_enough() -> None:
    for text in ("64:ff9b::7f00:1", "224.0.0.1"):
        assert ipaddress.ip_address(text).is_global
        assert not is_public(text)


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("beside", [(), (PUBLIC,)])
def test_a_listed_host_with_a_private_address_is_not_called(
    network: Network, receiver: Receiver, files: tuple[Path, Path], address: str, beside: tuple[str, ...]
) -> None:
    channel = Calls(hosts=[HOST], resolve=resolving(*beside, address), network=network, trust=trusting(files))
    receipt = send(channel, call())
    channel.close()
    assert isinstance(receipt, Refused)
    assert receipt.forbidden
    assert (network.hits, receiver.received) == ([], [])


def test_a_name_that_means_another_address_a_moment_later_leads_nowhere_else(
    network: Network, receiver: Receiver, files: tuple[Path, Path]
) -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[str]:
        asked.append(host)
        return [PUBLIC if len(asked) % 2 else "127.0.0.1"]

    channel = Calls(hosts=[HOST], resolve=rebinding, network=network, trust=trusting(files))
    receipts = [send(channel, call(n)) for n in range(6)]
    channel.close()
    assert len(asked) == 6, "one look-up for each call"
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused] * 3
    assert network.hits == []
    assert len(receiver.received) == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to", ["http://127.0.0.1/", "https://169.254.169.254/latest/", f"https://{HOST}/again"]
)
def test_no_redirect_is_followed(
    channel: Calls, network: Network, receiver: Receiver, status: int, to: str
) -> None:
    receiver.answers = [(status, {"Location": to}, b"")]
    assert isinstance(send(channel, call()), Refused)
    assert len(receiver.received) == 1
    assert network.hits == []


def test_the_certificate_must_be_the_hosts(network: Network, receiver: Receiver) -> None:
    channel = Calls(hosts=[HOST], resolve=resolving(PUBLIC), network=network)
    assert isinstance(send(channel, call()), Retry)
    channel.close()
    assert receiver.received == []


def test_a_certificate_for_another_name_is_none(
    network: Network, receiver: Receiver, files: tuple[Path, Path]
) -> None:
    other = "other.example.com"
    channel = Calls(hosts=[other], resolve=resolving(PUBLIC), network=network, trust=trusting(files))
    assert isinstance(send(channel, call(to=f"https://{other}/")), Retry)
    channel.close()
    assert receiver.received == []


def test_a_host_without_an_address_or_a_name_server_that_sleeps_is_asked_again_later(
    network: Network, files: tuple[Path, Path]
) -> None:
    def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def asleep(host: str) -> list[str]:
        time.sleep(0.6)
        return [PUBLIC]

    for resolve in (unknown, asleep, resolving()):
        channel = Calls(hosts=[HOST], resolve=resolve, network=network, trust=trusting(files), seconds=0.2)
        assert isinstance(send(channel, call()), Retry)
        channel.close()


def test_a_host_is_the_same_in_capital_letters_and_on_its_own_port(
    channel: Calls, receiver: Receiver
) -> None:
    for n, url in enumerate((f"https://{HOST.upper()}/x", f"HTTPS://{HOST}:443/x")):
        assert send(channel, replace(call(n), to=url)) == Accepted("HTTP 200")
    assert [came.path for came in receiver.received] == ["/x", "/x"]

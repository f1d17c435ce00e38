"""A receiver of webhooks on loopback, and a network that leads one public address to it and counts all others."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore

HOST = "hooks.example.com"
PUBLIC = "93.184.215.14"
"""The address that HOST has in these tests; the network leads it to the receiver."""

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what is answered: to all alike, or first those in `answers`, in turn."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[Answer | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    connections: int = 0
    usual: Answer = (200, {}, b"ok")

    @property
    def effects(self) -> int:
        """How many different calls came: what a receiver that knows `webhook-id` does."""
        return len({one.headers["webhook-id"] for one in self.received})


@contextmanager
def receiving(trust: tuple[Path, Path]) -> Iterator[Receiver]:
    """Run a receiver by https on loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.command, self.path, headers, body))
            answer = receiver.answers.pop(0) if receiver.answers else receiver.usual
            if callable(answer):
                answer(self)
                return
            status, more, text = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*trust)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Network(httpcore.NetworkBackend):
    """Leads PUBLIC to the receiver; a connection to any other address is a hit on the canary."""

    port: int
    hits: list[str] = field(default_factory=list)

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                    socket_options: Any = None) -> httpcore.NetworkStream:  # fmt: skip
        if host != PUBLIC or port != 443:
            self.hits.append(f"{host}:{port}")
            raise httpcore.ConnectError("a hit on the canary")
        return httpcore.SyncBackend().connect_tcp("127.0.0.1", self.port, timeout)


def resolving(*addresses: str) -> Callable[[str], Sequence[str]]:
    """Return a look-up that finds these addresses for every host."""
    return lambda _host: list(addresses)


def certificate(folder: Path, host: str = HOST) -> tuple[Path, Path]:
    """Make a certificate for a host that signs itself; return its file and its key's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "receiver.pem", folder / "receiver.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def trusting(files: tuple[Path, Path]) -> ssl.SSLContext:
    """Return what trusts the receiver's certificate, and nothing else."""
    return ssl.create_default_context(cafile=str(files[0]))

"""Real proxies in front of a web: as somebody who reads no documentation sets them up, and as ours shows them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.channels.calls import certificate

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
HOST = "treue.example"

_MODULES = "\n".join(
    f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
    for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "ssl", "socache_shmcb")
)
_SURROUNDINGS = {
    "nginx": """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  {site}
}}
""",
    "haproxy": """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
{site}
""",
    "apache2": f"""
ServerRoot {{folder}}
ServerName {HOST}
PidFile {{folder}}/pid
ErrorLog {{folder}}/error.log
DefaultRuntimeDir {{folder}}
Listen 127.0.0.1:{{port}}
{_MODULES}
User www-data
Group www-data
{{site}}
""",
    "caddy": """
{{
  admin off
  auto_https off
}}
{site}
""",
}
"""What a program needs around a site to run in a folder of its own."""

BARE = {
    "nginx": "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{web}; }} }}",
    "haproxy": "listen all\n  bind 127.0.0.1:{port}\n  server web 127.0.0.1:{web}\n",
    "apache2": "ProxyPass / http://127.0.0.1:{web}/",
    "caddy": ":{port} {{\n  bind 127.0.0.1\n  reverse_proxy 127.0.0.1:{web}\n}}",
}
"""The least that passes requests on."""

_COMMANDS = {
    "nginx": ("-p", "{folder}", "-e", "{folder}/error.log", "-c", "{file}"),
    "haproxy": ("-db", "-f", "{file}"),
    "apache2": ("-X", "-f", "{file}"),
    "caddy": ("run", "--adapter", "caddyfile", "--config", "{file}"),
}
NAMES = tuple(_COMMANDS)


@dataclass
class Proxy:
    """A proxy that runs: where it listens, and the folder it writes to."""

    url: str
    folder: Path


@contextmanager
def bare(name: str, web: int, folder: Path) -> Iterator[Proxy]:
    """Run a proxy that does no more than pass requests on to the port `web`."""
    port = _free_port()
    with _running(name, BARE[name].format(port=port, web=web), port, folder):
        yield Proxy(f"http://127.0.0.1:{port}", folder)


@contextmanager
def documented(name: str, web: int, folder: Path) -> Iterator[Proxy]:
    """Run a proxy as docs/operations.md shows it, with a certificate made here."""
    port = _free_port()
    pem = _certificate(folder)
    blocks = re.findall(rf"^```{name}\n(.*?)^```", OPERATIONS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    (site,) = blocks
    assert "127.0.0.1:8420" in site
    site = site.replace("127.0.0.1:8420", f"127.0.0.1:{web}")
    site = re.sub(r"/etc/[^\s;]+", str(pem), site)
    if name == "caddy":
        site = site.replace(f"{HOST} {{", f"https://{HOST}:{port} {{\n  bind 127.0.0.1\n  tls {pem} {pem}")
    else:
        site = re.sub(r"\b443\b", str(port), site)
    with _running(name, site, port, folder):
        yield Proxy(f"https://127.0.0.1:{port}", folder)


@contextmanager
def _running(name: str, site: str, port: int, folder: Path) -> Iterator[None]:
    file = folder / f"{name}.conf"
    file.write_text(_SURROUNDINGS[name].format(folder=folder, port=port, site=site), "utf-8")
    arguments = [one.format(folder=folder, file=file) for one in _COMMANDS[name]]
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(
            [_program(name), *arguments], stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)}
        )
        try:
            _wait(port, process, folder)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        if os.environ.get("TREUE_REQUIRE_PROXIES"):
            pytest.fail(f"TREUE_REQUIRE_PROXIES is set, and there is no {name}")
        pytest.skip(f"{name} is not installed")
    return found


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    told = "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("*.log")))
    pytest.fail(f"the proxy did not start: {told}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _certificate(folder: Path) -> Path:
    """Make a certificate and its key, in one file as HAProxy wants it."""
    path = folder / "certificate.pem"
    path.write_bytes(b"".join(part.read_bytes() for part in certificate(folder, HOST)))
    return path

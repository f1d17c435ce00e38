"""Whoever comes through a real proxy is a stranger until they sign in, whatever the headers say."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import httpx
import pytest

from tests.render.pictures import browser
from tests.web import proxies
from tests.web.serving import Site, sign_in

OPERATORS = ("/", "/metrics", "/inbox", "/inbox/", "/inbox/api/messages", "/inbox/1", "/inbox/1/raw")
LIES = (
    {},
    {"Host": "localhost"},
    {"Host": "127.0.0.1:8420"},
    {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost"},
)


@pytest.mark.parametrize("name", proxies.NAMES)
def test_a_bare_proxy_opens_no_operators_page_to_a_stranger(world: Site, tmp_path: Path, name: str) -> None:
    with proxies.bare(name, world.port, tmp_path) as proxy, httpx.Client(base_url=proxy.url) as client:
        for path, headers in product(OPERATORS, LIES):
            assert client.get(path, headers=headers).status_code == 401, (path, headers)
        assert client.get("/healthz").json() == {"status": "ok"}
        sign_in(client, world.link_token(), Origin=proxy.url)
        assert [client.get(path).status_code for path in OPERATORS[:5]] == [200, 200, 307, 200, 200]


@pytest.mark.parametrize("name", proxies.NAMES)
def test_the_documented_proxy_lets_operators_in_by_https_and_everybody_to_what_is_public(
    world: Site, tmp_path: Path, name: str
) -> None:
    own = f"https://{proxies.HOST}"
    with proxies.documented(name, world.port, tmp_path) as proxy, _by_name(proxy) as client:
        assert client.get("/").status_code == 401
        assert client.get("/healthz").status_code == 200
        answer = sign_in(client, world.link_token(), Origin=own)
        assert "; Secure" in answer.headers["set-cookie"]
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert client.get("/", headers=cookie).status_code == 200
        foreign = client.post("/sign-out", headers={**cookie, "Origin": "https://evil.example"})
        assert foreign.status_code == 403
        assert client.post("/sign-out", headers={**cookie, "Origin": own}).status_code == 303
        assert client.get("/", headers=cookie).status_code == 401


@pytest.mark.parametrize("name", proxies.NAMES)
def test_the_documented_proxy_passes_on_a_body_of_a_mebibyte_and_no_more(
    world: Site, tmp_path: Path, name: str
) -> None:
    with proxies.documented(name, world.port, tmp_path) as proxy, _by_name(proxy) as client:
        answers = [client.post("/v1/events", content=b" " * (2**20 + more)) for more in (0, 1)]
    assert answers[0].status_code == 401, "Treue's own answer, as there is no key"
    assert answers[1].status_code in (413, 502), "while a proxy still sends, it may miss what Treue answers"


@pytest.mark.skipif(browser() is None, reason="no Chromium on the PATH: apt-get install chromium")
def test_a_browser_that_opens_the_link_is_in_and_no_log_has_the_token(world: Site, tmp_path: Path) -> None:
    token = world.link_token()
    with proxies.bare("nginx", world.port, tmp_path) as proxy:
        link = f"{proxy.url}/sign-in#{token}"
        console, later, other = (
            _opened(url, tmp_path / profile)
            for url, profile in ((link, "one"), (f"{proxy.url}/inbox/", "one"), (link, "two"))
        )
    assert "Last events" in console
    assert "Nothing has arrived yet" in later
    assert "This link was used before" in other
    log = (tmp_path / "access.log").read_text()
    assert log.count("POST /sign-in") == 2
    assert token not in log


def _opened(url: str, profile: Path) -> str:
    """Return the page that a browser comes to from an address."""
    command = browser()
    assert command is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom")
    done = subprocess.run(
        [command, *options, "--virtual-time-budget=20000", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def _by_name(proxy: proxies.Proxy) -> httpx.Client:
    """Return a client that calls the proxy by the name it has in the documentation."""

    def name(request: httpx.Request) -> None:
        request.extensions["sni_hostname"] = proxies.HOST

    return httpx.Client(
        base_url=proxy.url, headers={"Host": proxies.HOST}, verify=False, event_hooks={"request": [name]}
    )

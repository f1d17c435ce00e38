"""Signing in: the operator's pages are for whoever has used a printed link, once, whatever the headers say."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product
from pathlib import Path

import httpx
import pytest
from starlette.routing import Mount, Route

from tests.web.serving import KEY, Site, copy_workspace, served, sign_in
from treue.web.app import create_app
from treue.web.sessions import LINK_LASTS, SESSION_LASTS, Sessions
from treue.web.sign_in import PUBLIC_FOLDERS, PUBLIC_PATHS

PUBLIC = {
    "/v1/events",
    "/v1/customers",
    "/v1/journeys/{name}/enroll",
    "/v1/hooks/{source}",
    "/v1/customers/merge",
    "/v1/receipts/{channel}",
    "/u/{token}",
    "/m/{token}",
    "/a/{digest}/{name}",
    "/healthz",
    "/readyz",
    "/docs",
    "/openapi.json",
    "/sign-in",
}
HIDDEN = (
    "/",
    "/metrics",
    "/inbox",
    "/inbox/",
    "/inbox/api/messages",
    "/inbox/1/raw",
    "/sign-out",
    "/nothing",
)
LIES = (
    {},
    {"Host": "localhost"},
    {"Host": "127.0.0.1:8420"},
    {"Host": "shop.example"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Authorization": "Bearer guess"},
    {"Cookie": "treue=1; treue-00000000=1796043823-321971603a64c928d1c1-46ffcb8e7513688f2360dbef580b2ba2"},
)


@pytest.fixture
def stranger(world: Site) -> httpx.Client:
    """A client on this very machine that has not signed in."""
    return httpx.Client(base_url=world.url)


def test_a_stranger_sees_nothing_of_the_operators(stranger: httpx.Client) -> None:
    for path, headers in product(HIDDEN, LIES):
        answer = stranger.get(path, headers=headers)
        seen = (answer.status_code, answer.headers["content-type"], "www-authenticate" in answer.headers)
        assert seen == (401, "application/problem+json", True), (path, headers)


def test_whatever_is_not_named_as_public_asks_for_a_sign_in(world: Site) -> None:
    app = create_app(world.assembly)
    paths = {_path(one) for one in _routes(app.routes)}
    asked = {one for one in paths if one not in PUBLIC_PATHS and not one.startswith(PUBLIC_FOLDERS)}
    assert paths - asked == PUBLIC
    assert asked == {"/", "/metrics", "/inbox", "/sign-out"}


def _routes(routes: list[object]) -> list[object]:
    """Return the routes of an app with those of the routers in it."""
    inner = [getattr(one, "original_router", None) for one in routes]
    return [
        found
        for one, router in zip(routes, inner, strict=True)
        for found in ([one] if router is None else _routes(router.routes))
    ]


def _path(route: object) -> str:
    assert isinstance(route, (Route, Mount))
    return route.path


def test_a_browser_is_shown_how_to_sign_in_and_nothing_else(stranger: httpx.Client) -> None:
    answer = stranger.get("/inbox/5", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store")
    assert "treue sign-in" in answer.text
    assert "treue-shop" not in answer.text
    assert "location" not in answer.headers


def test_the_script_of_the_page_is_the_only_one_its_policy_lets_run(stranger: httpx.Client) -> None:
    answer = stranger.get("/sign-in")
    policy = answer.headers["content-security-policy"]
    assert len(re.findall("<script", answer.text)) == 1
    assert re.search(r"default-src 'none'.*; script-src 'sha256-[\w+/=]+'$", policy)
    assert "script-src" not in stranger.get("/docs").headers["content-security-policy"]


def test_a_link_signs_in_once_and_its_page_spends_nothing(world: Site, stranger: httpx.Client) -> None:
    token = world.link_token()
    for _ in range(3):
        assert stranger.get("/sign-in").status_code == 200
    answer = sign_in(stranger, f"http://localhost:8420/sign-in#{token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    attributes = {one.strip() for one in answer.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"HttpOnly", "Max-Age=604800", "Path=/", "SameSite=lax"}
    for path in ("/", "/metrics", "/inbox/", "/inbox/api/messages"):
        assert stranger.get(path).status_code == 200
    with httpx.Client(base_url=world.url) as second:
        again = sign_in(second, token)
        assert (again.status_code, "set-cookie" in again.headers) == (401, False)
        assert "used before" in again.text
    assert sign_in(stranger, token).status_code == 303, "who has signed in is let on with a link they used"


def test_of_many_who_use_one_link_at_once_one_gets_in(world: Site) -> None:
    token = world.link_token()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: httpx.post(f"{world.url}/sign-in", data={"token": token}), range(24))
        )
    assert sorted(answer.status_code for answer in answers) == [303] + [401] * 23


def test_links_and_sessions_end_by_themselves(world: Site, stranger: httpx.Client) -> None:
    late = world.link_token()
    world.now += LINK_LASTS
    assert sign_in(stranger, late).status_code == 401
    assert sign_in(stranger, world.link_token()).status_code == 303
    world.now += SESSION_LASTS - timedelta(seconds=1)
    assert stranger.get("/").status_code == 200
    world.now += timedelta(seconds=1)
    assert stranger.get("/").status_code == 401


def test_no_changed_token_and_none_of_another_purpose_is_taken(world: Site, stranger: httpx.Client) -> None:
    sessions = Sessions.of(world.assembly.state)
    token = sessions.link_token(world.now)
    for position, was in enumerate(token):
        changed = token[:position] + ("1" if was != "1" else "2") + token[position + 1 :]
        assert sessions.begin(changed, world.now) is None
    assert stranger.get("/", headers={"Cookie": f"{sessions.cookie}={token}"}).status_code == 401
    session = sessions.begin(token, world.now)
    assert session
    assert sign_in(stranger, session).status_code == 401
    for broken in ("", "#", "\0", "ü" * 30, token.upper(), token + "\n-", "9" * 5_000, "a=b&" * 5_000):
        assert sign_in(stranger, broken).status_code == 401


def test_neither_the_secret_nor_the_api_key_alone_makes_a_session(tmp_path: Path, world: Site) -> None:
    good = Sessions(tmp_path, b"secret", "key")
    token = good.link_token(world.now)
    assert Sessions(tmp_path, b"secret", "other").begin(token, world.now) is None
    assert Sessions(tmp_path, b"other", "key").begin(token, world.now) is None
    assert good.begin(token, world.now)


def test_signing_out_ends_the_session_wherever_its_cookie_is(world: Site, stranger: httpx.Client) -> None:
    sign_in(stranger, world.link_token())
    stolen = dict(stranger.cookies)
    answer = stranger.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert not stranger.cookies
    assert httpx.get(f"{world.url}/", cookies=stolen).status_code == 401
    assert world.client.get("/").status_code == 200, "others stay signed in"


def test_no_page_of_another_site_or_port_signs_anybody_out(world: Site) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
    ):
        assert world.client.post("/sign-out", headers=headers).status_code == 403, headers
    assert world.client.get("/").status_code == 200


def test_ones_own_page_signs_out_whatever_a_proxy_made_of_the_host(world: Site) -> None:
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://treue.example"},
        {"Origin": world.url},
        {},
    ):
        world.sign_in()
        assert world.client.post("/sign-out", headers=headers).status_code == 303, headers
        assert world.client.get("/").status_code == 401


def test_the_cookie_is_for_https_only_where_the_browser_came_by_it(
    world: Site, stranger: httpx.Client
) -> None:
    came_by = {"https://treue.example": True, "http://localhost:8420": False, "null": False}
    for origin, secure in came_by.items():
        answer = sign_in(stranger, world.link_token(), Origin=origin)
        assert ("; Secure" in answer.headers["set-cookie"]) is secure
    assert "; Secure" not in sign_in(stranger, world.link_token()).headers["set-cookie"]


def test_where_the_public_address_is_https_so_is_the_cookie(
    tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_URL", "https://treue.example")
    with served(copy_workspace(tmp_path)) as site, httpx.Client(base_url=site.url) as stranger:
        assert "; Secure" in sign_in(stranger, site.link_token()).headers["set-cookie"]


def test_webs_that_share_the_secret_and_the_key_take_each_others_cookies_and_links(
    tmp_path: Path, surroundings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_SECRET", "shared")
    roots = [tmp_path / name for name in ("one", "two")]
    for root in roots:
        root.mkdir()
    with served(copy_workspace(roots[0])) as one, served(copy_workspace(roots[1])) as two:
        cookies = dict(one.client.cookies)
        assert httpx.get(f"{two.url}/", cookies=cookies).status_code == 200
        with httpx.Client(base_url=two.url) as stranger:
            assert sign_in(stranger, one.link_token()).status_code == 303


def test_a_session_outlives_its_web_and_is_no_other_workspaces(tmp_path: Path, surroundings: None) -> None:
    root, other = tmp_path / "one", tmp_path / "other"
    root.mkdir(), other.mkdir()
    with served(copy_workspace(root)) as site:
        cookies, spent = dict(site.client.cookies), site.link_token()
        sign_in(site.client, spent)
    with served(root) as site:
        assert httpx.get(f"{site.url}/", cookies=cookies).status_code == 200
        with httpx.Client(base_url=site.url) as stranger:
            assert sign_in(stranger, spent).status_code == 401, "a used link stays used"
    with served(copy_workspace(other)) as site:
        assert httpx.get(f"{site.url}/", cookies=cookies).status_code == 401
        assert set(site.client.cookies) != set(cookies), "on one host, neither overwrites the other's"


def test_what_is_spent_is_forgotten_once_it_would_have_ended(world: Site) -> None:
    folder = world.assembly.state / "spent"
    for _ in range(3):
        sign_in(world.client, world.link_token())
    spent = list(folder.iterdir())
    assert {one.stat().st_mode & 0o777 for one in spent} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    world.now += SESSION_LASTS
    sign_in(world.client, world.link_token())
    assert len(list(folder.iterdir())) == 1


def test_the_numbers_are_for_the_key_and_for_whoever_has_signed_in(
    world: Site, stranger: httpx.Client
) -> None:
    assert stranger.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert world.client.get("/metrics").status_code == 200
    refused = stranger.get("/metrics")
    assert refused.headers["www-authenticate"] == 'Bearer realm="treue"'
    for path in ("/", "/inbox/", "/inbox/api/messages"):
        assert stranger.get(path, headers={"Authorization": f"Bearer {KEY}"}).status_code == 401


def test_no_token_is_logged(world: Site, stranger: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    token = world.link_token()
    with caplog.at_level(logging.INFO):
        sign_in(stranger, token)
        stranger.get(f"/sign-in?token={token}")
        stranger.get("/")  # on the same connection, so the log has what was before
    told = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("treue"))
    assert "POST /sign-in 303" in told
    assert "GET /sign-in 200" in told
    assert token not in told
    assert _session(stranger) not in told


def _session(client: httpx.Client) -> str:
    (value,) = dict(client.cookies).values()
    return value

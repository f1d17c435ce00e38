from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from html.parser import HTMLParser

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from treue_channels.inbox import InboxStore
from treue_channels.inbox.pages import MAIL_POLICY, PAGE, app

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>{{1234*4321}}"


def get(box: InboxStore, path: str, mounted: str = "") -> httpx.Response:
    pages = app(box.path, zone="Europe/Berlin")
    served = Starlette(routes=[Mount(mounted, pages)]) if mounted else pages

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=served)
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox.test") as client:
            return await client.get(path)

    return asyncio.run(ask())


def mail(
    subject: str = "Hello", html: str = "", text: str = "Hi.", sender: str = "shop@example.com"
) -> bytes:
    parts = f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    parts += f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n" if html else ""
    head = f"From: {sender}\r\nSubject: {subject}\r\nContent-Type: multipart/alternative; boundary=b\r\n"
    return f"{head}\r\n{parts}--b--\r\n".encode()


class _Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for name, attrs in self.tags if name == tag and attribute in attrs]


def page(response: httpx.Response) -> _Page:
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return _Page(response.text)


@pytest.fixture
def full(box: InboxStore) -> InboxStore:
    for n in range(PAGE + 10):
        box.add_mail("b@example.com", f"kunde{n}@example.com", mail(f"Angebot {n}"))
    box.add_text("sms", "+491511", "Ihr Code ist 42", sender="Shop")
    box.add_text("push", "token-1", "Ihr Paket ist da", title="Paket", link="https://example.com/p")
    return box


# The list


def test_an_empty_inbox_says_so(box: InboxStore) -> None:
    assert "Nothing has arrived yet." in page(get(box, "/")).text


def test_the_list_is_newest_first_and_leads_to_each_message(full: InboxStore) -> None:
    shown = page(get(full, "/"))
    rows = [href for href in shown.all("a", "href") if href.strip("/").isdigit()]
    assert rows == [f"/{n}" for n in range(PAGE + 12, 12, -1)]
    assert "Ihr Code ist 42" in shown.text


def test_the_pages_follow_each_other_without_gap_or_overlap(full: InboxStore) -> None:
    first = page(get(full, "/"))
    older = next(href for href in first.all("a", "href") if "before=" in href)
    second = page(get(full, older))
    assert [href for href in second.all("a", "href") if href.strip("/").isdigit()] == [
        f"/{n}" for n in range(12, 0, -1)
    ]
    assert not [href for href in second.all("a", "href") if "before=" in href]


def test_a_tab_shows_one_channel_and_counts_all(full: InboxStore) -> None:
    shown = page(get(full, "/?channel=sms"))
    assert [href for href in shown.all("a", "href") if href.strip("/").isdigit()] == ["/61"]
    assert "All 62 E-mail 60 SMS 1 Push 1" in shown.text


def test_a_search_finds_by_recipient_and_by_subject(full: InboxStore) -> None:
    assert page(get(full, "/?q=KUNDE7@")).all("a", "href").count("/8") == 1
    found = page(get(full, "/?q=angebot+59"))
    assert [href for href in found.all("a", "href") if href.strip("/").isdigit()] == ["/60"]
    assert found.all("input", "value")[0] == "angebot 59"
    assert "No message fits." in page(get(full, "/?q=nirgends")).text


def test_the_live_list_renews_itself_and_an_older_page_does_not(full: InboxStore) -> None:
    assert ("meta", {"http-equiv": "refresh", "content": "3"}) in page(get(full, "/?live=1")).tags
    for path in ("/", "/?live=1&before=30"):
        assert "refresh" not in page(get(full, path)).all("meta", "http-equiv")


@pytest.mark.parametrize(
    "path", ["/?before=x", "/?before=-1", "/?before=" + "9" * 40, "/?channel=fax", "/?q=%00%ff"]
)
def test_parameters_that_make_no_sense_break_nothing(full: InboxStore, path: str) -> None:
    assert get(full, path).status_code == 200


def test_times_are_shown_in_the_given_zone(box: InboxStore) -> None:
    InboxStore(box.path, clock=lambda: datetime(2026, 7, 1, 22, 30, tzinfo=UTC)).add_text("sms", "+491", "x")
    assert "2 Jul 2026, 00:30" in page(get(box, "/")).text


# One message


def test_a_mails_page_shows_its_envelope_and_frames_its_html_in_a_sandbox(box: InboxStore) -> None:
    id_ = box.add_mail("bounce@example.com", "anna@example.com", mail("Grüße", "<p>Hallo <b>Änne</b></p>"))
    shown = page(get(box, f"/{id_}"))
    assert "Grüße" in shown.text
    assert "anna@example.com" in shown.text
    frames = [attrs for tag, attrs in shown.tags if tag == "iframe"]
    assert [(frame["sandbox"] or "", frame["src"]) for frame in frames] == [("", f"/{id_}/html")]


def test_a_mails_html_is_served_under_a_policy_that_allows_nothing(box: InboxStore) -> None:
    id_ = box.add_mail("", "anna@example.com", mail(html="<p>Änne</p><script>alert(1)</script>"))
    response = get(box, f"/{id_}/html")
    assert "<p>Änne</p>" in response.text
    assert response.headers["content-security-policy"] == MAIL_POLICY
    assert "allow-scripts" not in MAIL_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"


def test_pictures_that_came_in_a_mail_are_shown_where_it_names_them(box: InboxStore) -> None:
    picture = (
        "Content-Type: {}\r\nContent-ID: <{}>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"
    )
    parts = [
        'Content-Type: text/html\r\n\r\n<img src="cid:a@b"><img src="cid:svg"><img src="cid:none">\r\n',
        picture.format("image/png", "a@b"), picture.format("image/svg+xml", "svg"),
    ]  # fmt: skip
    body = "".join(f"--b\r\n{part}" for part in parts)
    raw = f"Subject: x\r\nContent-Type: multipart/related; boundary=b\r\n\r\n{body}--b--\r\n".encode()
    id_ = box.add_mail("", "anna@example.com", raw)
    shown = page(get(box, f"/{id_}/html")).all("img", "src")
    assert shown == ["data:image/png;base64,iVBORw0KGgo=", "cid:svg", "cid:none"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [("text", "Nur Text ünd Zeichen"), ("headers", "Envelope sender b@example.com"), ("raw", "boundary=b")],
)
def test_the_other_views_of_a_mail(box: InboxStore, view: str, expected: str) -> None:
    id_ = box.add_mail(
        "b@example.com", "anna@example.com", mail(html="<p>x</p>", text="Nur Text ünd Zeichen")
    )
    assert expected in page(get(box, f"/{id_}?view={view}")).text


def test_a_mail_without_html_is_shown_as_text(box: InboxStore) -> None:
    id_ = box.add_mail("", "anna@example.com", mail(text="Nur Text"))
    shown = page(get(box, f"/{id_}"))
    assert "Nur Text" in shown.text
    assert shown.all("iframe", "src") == []


def test_the_width_is_chosen_by_a_link(box: InboxStore) -> None:
    id_ = box.add_mail("", "anna@example.com", mail(html="<p>x</p>"))
    assert f"/{id_}?view=html&width=phone" in page(get(box, f"/{id_}")).all("a", "href")
    assert "stage narrow" in page(get(box, f"/{id_}?view=html&width=phone")).all("div", "class")


def test_the_links_of_a_mail_are_listed_where_they_work(box: InboxStore) -> None:
    html = (
        '<a href="https://example.com/u?a=1&amp;b=2">Abmelden</a>'
        '<a href="javascript:alert(1)">x</a><a href="data:text/html,x">y</a>'
    )
    id_ = box.add_mail("", "anna@example.com", mail(html=html))
    shown = page(get(box, f"/{id_}"))
    outward = [attrs for tag, attrs in shown.tags if tag == "a" and attrs.get("target") == "_blank"]
    assert [link["href"] for link in outward] == ["https://example.com/u?a=1&b=2"]
    assert outward[0]["rel"] == "noopener noreferrer"


def test_the_raw_message_comes_byte_for_byte_as_plain_text(box: InboxStore) -> None:
    raw = mail(html=EVIL) + b"\xff\x00\r\n"
    response = get(box, f"/{box.add_mail('', 'anna@example.com', raw)}/raw")
    assert response.content == raw
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_an_sms_is_a_bubble_and_a_push_a_notification(box: InboxStore) -> None:
    sms = page(get(box, f"/{box.add_text('sms', '+491', 'Ihr Code ist 42', sender='Shop')}"))
    push = page(get(box, f"/{box.add_text('push', 't', 'Da!', title='Paket', link='https://example.com/p')}"))
    assert "bubble" in sms.all("p", "class")
    assert "notice" in push.all("div", "class")
    assert "https://example.com/p" in push.all("a", "href")


@pytest.mark.parametrize("path", ["/99", "/99/html", "/99/raw", "/nothing"])
def test_what_is_not_there_is_a_page_that_says_so(box: InboxStore, path: str) -> None:
    response = get(box, path)
    assert response.status_code == 404
    assert "Back to all messages" in page(response).text


# Strangers' words


def _active(shown: _Page) -> list[tuple[str, dict[str, str | None]]]:
    """Return everything in a page that could do something."""
    return [
        (tag, attrs)
        for tag, attrs in shown.tags
        if tag in ("script", "object", "embed", "base", "img")
        or any(name.startswith("on") or name in ("style", "srcdoc") for name in attrs)
        or any(
            (attrs.get(name) or "").strip().lower().startswith("javascript:")
            for name in ("href", "src", "action")
        )
    ]


@pytest.mark.parametrize("view", ["html", "text", "headers", "raw"])
def test_a_mail_full_of_scripts_is_inert_wherever_it_shows(box: InboxStore, view: str) -> None:
    raw = mail(EVIL, f"{EVIL}<a href='https://example.com/\"onclick=alert(1)'>{EVIL}</a>", EVIL, EVIL)
    id_ = box.add_mail(EVIL, EVIL, raw)
    for path in ("/", f"/?q={EVIL}", f"/{id_}?view={view}", f"/{id_}?view={EVIL}&width={EVIL}"):
        shown = page(get(box, path.replace("#", "%23")))
        assert _active(shown) == []
        assert str(1234 * 4321) not in shown.text
    assert EVIL in page(get(box, f"/{id_}?view=headers")).text


@pytest.mark.parametrize("channel", ["sms", "push"])
def test_a_text_full_of_scripts_is_inert(box: InboxStore, channel: str) -> None:
    id_ = box.add_text(channel, EVIL, EVIL, sender=EVIL, title=EVIL, link="JavaScript:alert(1)")
    for path in ("/", f"/{id_}"):
        assert _active(page(get(box, path))) == []
    assert "JavaScript:alert(1)" not in page(get(box, f"/{id_}")).all("a", "href")


def test_every_page_carries_the_security_headers(full: InboxStore) -> None:
    for path in (
        "/",
        "/1",
        "/62",
        "/1/html",
        "/1/raw",
        "/style.css",
        "/api/messages",
        "/99",
        "/api/messages/99",
    ):
        headers = get(full, path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "unsafe" not in policy or path == "/1/html"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "SAMEORIGIN"


def test_the_pages_take_nothing_from_elsewhere(full: InboxStore) -> None:
    for path in ("/", "/1", "/61", "/62"):
        shown = page(get(full, path))
        taken = shown.all("link", "href") + shown.all("iframe", "src") + shown.all("img", "src")
        assert [url for url in taken if not url.startswith(("/", "data:"))] == []
        assert "style" not in [name for _, attrs in shown.tags for name in attrs]
    assert "url(" not in get(full, "/style.css").text


def test_the_pages_work_under_a_path(full: InboxStore) -> None:
    shown = page(get(full, "/inbox/", mounted="/inbox"))
    local = shown.all("a", "href") + shown.all("form", "action") + shown.all("link", "href")[1:]
    assert [url for url in local if not url.startswith("/inbox/")] == []
    assert page(get(full, "/inbox/1", mounted="/inbox")).all("a", "href")[0] == "/inbox/"
    assert get(full, "/inbox/style.css", mounted="/inbox").status_code == 200
    assert (
        get(full, "/inbox/api/messages/99", mounted="/inbox").headers["content-type"]
        == "application/problem+json"
    )


# For scripts


def test_the_api_lists_by_recipient_and_channel_oldest_first(full: InboxStore) -> None:
    full.add_mail("", "kunde3@example.com", mail("Noch eins"))
    found = get(full, "/api/messages?recipient=Kunde3@example.com&channel=email").json()
    assert [m["title"] for m in found["messages"]] == ["Angebot 3", "Noch eins"]
    assert set(found["messages"][0]) == {
        "id", "received_at", "channel", "sender", "recipient", "title", "excerpt", "link",
    }  # fmt: skip


def test_a_script_follows_the_inbox_with_after(full: InboxStore) -> None:
    first = get(full, "/api/messages?limit=60").json()
    second = get(full, f"/api/messages?after={first['after']}").json()
    assert [m["channel"] for m in second["messages"]] == ["sms", "push"]
    third = get(full, f"/api/messages?after={second['after']}").json()
    assert third == {"messages": [], "after": second["after"]}


def test_the_api_gives_the_whole_of_one_message(box: InboxStore) -> None:
    html = '<a href="https://example.com/u">Abmelden</a>'
    id_ = box.add_mail("b@example.com", "anna@example.com", mail("Grüße", html))
    found = get(box, f"/api/messages/{id_}").json()
    assert found["links"] == [{"url": "https://example.com/u", "text": "Abmelden"}]
    assert found["html"].strip() == html
    assert ["Subject", "Grüße"] in found["headers"]
    sms = get(box, f"/api/messages/{box.add_text('sms', '+491', 'Kurz')}").json()
    assert sms["text"] == "Kurz"


@pytest.mark.parametrize("query", ["after=x", "limit=0", "limit=-1", "channel=fax"])
def test_the_api_says_what_is_wrong_with_a_question(box: InboxStore, query: str) -> None:
    response = get(box, f"/api/messages?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert "whole numbers" in response.json()["title"]

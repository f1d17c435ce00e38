"""View in browser: the mail that went out, for whoever has its link, and nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from tests.web.serving import Site
from treue.engine.passes.chronology import run_pass
from treue.model.states import MessageState
from treue.model.tables import customer, event, message, printed
from treue.store import wordings
from treue.store.erasures import Erasures
from treue.store.printed import find


@pytest.fixture
def sent(world_on_each_database: Site) -> tuple[Site, int, str]:
    """The site, a message that has gone out, and its HTML as the inbox got it."""
    site = world_on_each_database
    person = {"id": "a", "email": "a@example.com", "locale": "en", "attributes": {"first_name": "<b>Ada</b>"}}
    site.post("/v1/customers", person | {"consent": {"email": {"source": "form", "wording": "Ja"}}})
    order = {"order_id": "17", "total": 20, "currency": "EUR", "quantity": 2}
    site.post("/v1/events", {"id": "o", "customer": "a", "event": "order.placed", "properties": order})
    run_pass(site.assembly.engine, site.now)
    (listed,) = site.client.get("/inbox/api/messages").json()["messages"]
    html = site.client.get(f"/inbox/api/messages/{listed['id']}").json()["html"]
    (row,) = site.rows(select(message.c.id).where(message.c.state == MessageState.sent.value))
    return site, row.id, html


def path(site: Site, message_id: int, channel: str = "email") -> str:
    return "/m/" + site.assembly.links.token("view", message_id, channel)


def test_the_link_shows_the_mail_as_it_was_sent(sent: tuple[Site, int, str]) -> None:
    site, number, html = sent
    answer = site.client.get(path(site, number))
    assert answer.status_code == 200
    assert answer.text.split() == html.split()
    assert "Order 17" in answer.text
    assert "&lt;b&gt;Ada&lt;/b&gt;" in answer.text
    assert "<b>Ada" not in answer.text


def test_it_can_do_nothing_in_the_browser(sent: tuple[Site, int, str]) -> None:
    site, number, _ = sent
    headers = site.client.get(path(site, number)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src https: data:; style-src 'unsafe-inline'")
    assert "sandbox" in policy
    for word in ("allow-scripts", "allow-same-origin", "allow-forms", "script-src"):
        assert word not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-robots-tag"] == "noindex"
    assert headers["referrer-policy"] == "no-referrer"
    assert site.client.head(path(site, number)).status_code == 200


def test_a_later_order_changes_nothing_in_it(sent: tuple[Site, int, str]) -> None:
    site, number, html = sent
    site.post(
        "/v1/events", {"id": "p", "customer": "a", "event": "order.placed", "properties": {"order_id": "18"}}
    )
    assert site.count(event, event.c.name == "order.placed") == 2
    assert site.client.get(path(site, number)).text.split() == html.split()


def test_it_is_shown_as_it_was_sent_whatever_has_changed_since(sent: tuple[Site, int, str]) -> None:
    site, number, html = sent
    _everything_changes(site)
    assert site.client.get(path(site, number)).text.split() == html.split()


def test_a_page_that_may_look_otherwise_than_the_mail_says_so(sent: tuple[Site, int, str]) -> None:
    site, number, html = sent
    with site.assembly.store.transaction() as connection:
        connection.execute(printed.delete())
    _everything_changes(site)
    answer = site.client.get(path(site, number))
    assert answer.status_code == 200
    assert "This is how this e-mail would look today." in answer.text
    assert "Order 17" not in answer.text
    assert "Words of today" in answer.text
    assert "would look today" not in html


def test_nothing_that_gives_power_is_kept(sent: tuple[Site, int, str]) -> None:
    site, number, html = sent
    token = site.assembly.links.token("unsubscribe", number, "email")
    assert token in html
    with site.assembly.store.reading() as connection:
        kept = find(connection, [number])[number].values
    assert kept["customer"]["first_name"] == "<b>Ada</b>"
    assert token not in repr(kept)
    assert "/u/" not in repr(kept)


def test_who_is_erased_leaves_nothing_of_what_was_printed(sent: tuple[Site, int, str]) -> None:
    site, number, _ = sent
    assert site.count(printed) == 1
    with site.assembly.store.transaction() as connection:
        Erasures(b"a" * 32).erase(connection, "a", site.now)
    assert site.count(printed) == 0
    assert site.client.get(path(site, number)).status_code == 404


def _everything_changes(site: Site) -> None:
    """Give the customer another name, the event other properties, and its version other words."""
    with site.assembly.store.transaction() as connection:
        connection.execute(update(customer).values(attributes={"first_name": "Grace"}))
        connection.execute(update(event).values(properties={"order_id": "99"}))
        for row in wordings.kept(connection).values():
            if row.template == "welcome":
                files = {
                    name: content.replace(b"Somebody here is about", b"Words of today")
                    for name, content in wordings.read(connection, row.digest).files.items()
                }
                wordings.keep(connection, row.version_id, row.template, wordings.Words(files))
        wordings.forget(connection, [row.version_id for row in wordings.kept(connection).values()])


def test_other_links_and_other_messages_show_nothing(sent: tuple[Site, int, str]) -> None:
    site, number, _ = sent
    links = site.assembly.links
    wrong = [
        path(site, number + 1), path(site, number, "sms"), "/m/" + links.token("unsubscribe", number, "email"),
        path(site, number)[:-1], "/m/token", path(site, number) + "x",
    ]  # fmt: skip
    for one in wrong:
        answer = site.client.get(one)
        assert answer.status_code == 404, one
        assert "Ada" not in answer.text


@pytest.mark.parametrize("state", [MessageState.queued, MessageState.refused, MessageState.failed])
def test_a_mail_that_never_went_out_is_not_shown(sent: tuple[Site, int, str], state: MessageState) -> None:
    site, number, _ = sent
    with site.assembly.store.transaction() as connection:
        connection.execute(update(message).where(message.c.id == number).values(state=state.value))
    assert site.client.get(path(site, number)).status_code == 404


def test_nothing_is_left_of_it_once_its_customer_is_gone(sent: tuple[Site, int, str]) -> None:
    site, number, _ = sent
    with site.assembly.store.transaction() as connection:
        connection.execute(customer.delete().where(customer.c.key == "a"))
    answer = site.client.get(path(site, number))
    assert answer.status_code == 404
    assert "Ada" not in answer.text

"""View in browser: the mail that went out, for whoever has its link, and nothing else."""

from __future__ import annotations

import pytest
from serving import Site
from sqlalchemy import select, update

from treue.engine.passes.chronology import run_pass
from treue.model.states import MessageState
from treue.model.tables import customer, event, message


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

"""What a provider can and we do not know: `extra`, from the settings into every request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.channels import (
    test_bird,
    test_brevo,
    test_mailgun,
    test_postmark,
    test_resend,
    test_sendgrid,
    test_ses,
    test_seven,
    test_twilio,
    test_vonage,
)
from tests.channels.bird_server import BirdServer
from tests.channels.brevo_server import BrevoServer
from tests.channels.descriptions import PublishedServer
from tests.channels.google_fcm import Firebase, TokenServer, account_key
from tests.channels.mailgun_server import MailgunServer, multipart
from tests.channels.postmark_server import PostmarkServer
from tests.channels.resend_server import ResendServer
from tests.channels.sendgrid_server import SendGridServer
from tests.channels.ses_server import SesServer
from tests.channels.seven_server import SevenServer
from tests.channels.twilio_server import TwilioServer
from tests.channels.vonage_server import VonageServer
from treue.channel import Accepted, installed_adapters
from treue.composition.assembly import assembled
from treue.errors import ChannelError
from treue.language.problems import Problem
from treue.testing.channel_contract import Log, example_message
from treue.testing.provider_server import Asked
from treue.vocabulary.workspace import load
from treue.workspace.channels import channel_problems
from treue_channels.fcm import Fcm
from treue_channels.http.api import merged, merged_form

CASES: list[tuple[Any, type[PublishedServer], dict[str, Any]]] = [
    (test_bird.TestContract, BirdServer, {"validity_period": 3600}),
    (test_brevo.TestContract, BrevoServer, {"params": {"season": "winter"}}),
    (test_postmark.TestContract, PostmarkServer, {"TrackOpens": True}),
    (test_resend.TestContract, ResendServer, {"topic_id": "news"}),
    (test_sendgrid.TestContract, SendGridServer, {"asm": {"group_id": 7}}),
    (test_ses.TestContract, SesServer, {"FeedbackForwardingEmailAddress": "back@example.com"}),
    (test_vonage.TestContract, VonageServer, {"trusted_recipient": True}),
]
FORMS: list[tuple[Any, type[PublishedServer], dict[str, Any], str]] = [
    (test_mailgun.TestContract, MailgunServer, {"o:dkim": "yes"}, "yes"),
    (test_seven.TestContract, SevenServer, {"label": "winter"}, "winter"),
    (test_twilio.TestContract, TwilioServer, {"ShortenUrls": True}, "true"),
]


def asked_with(contract: Any, server: type[PublishedServer], extra: dict[str, Any]) -> Asked:
    """Return the request for one message by an adapter with such an `extra`."""
    tests = contract()
    with server() as provider:
        adapter = tests.adapter(provider.url, extra=extra)
        (receipt,) = adapter.send(tests.batch(adapter, 1), Log())
        adapter.close()
    assert isinstance(receipt, Accepted)
    return provider.asked[0]


@pytest.mark.parametrize(
    ("contract", "server", "extra"), CASES, ids=lambda one: getattr(one, "__module__", "")
)
def test_it_is_in_the_document_beside_our_own(contract: Any, server: Any, extra: dict[str, Any]) -> None:
    document = asked_with(contract, server, extra).json()
    found = document[0] if isinstance(document, list) else document
    assert {name: found[name] for name in extra} == extra
    assert len(found) > 3


@pytest.mark.parametrize(
    ("contract", "server", "extra", "text"), FORMS, ids=lambda one: getattr(one, "__module__", "")
)
def test_it_is_in_the_form_as_text(contract: Any, server: Any, extra: dict[str, Any], text: str) -> None:
    asked = asked_with(contract, server, extra)
    fields = multipart(asked)[0] if server is MailgunServer else asked.form()
    assert [fields[name] for name in extra] == [[text]]
    assert len(fields) > 2


def test_it_is_in_fcms_message() -> None:
    key, public = account_key()
    with TokenServer(public) as tokens, Firebase(tokens) as firebase:
        fcm = Fcm(tokens.account(key), url=firebase.url, extra={"android": {"priority": "HIGH"}})
        assert isinstance(fcm.send([example_message("push", 1)], Log())[0], Accepted)
        fcm.close()
    assert firebase.messages[0]["android"] == {"priority": "HIGH"}


def test_what_is_on_both_sides_is_joined() -> None:
    ours = {"tags": ["welcome"], "headers": {"X-A": "1"}, "text": "Hello", "n": 1}
    extra = {"tags": ["winter"], "headers": {"X-B": "2"}, "n": 2, "more": {"deep": [1]}}
    assert merged(ours, extra) == {
        "tags": ["welcome", "winter"], "headers": {"X-A": "1", "X-B": "2"}, "text": "Hello", "n": 2, "more": {"deep": [1]},
    }  # fmt: skip
    assert ours["tags"] == ["welcome"]
    assert merged_form({"o:tag": ["welcome"]}, {"o:tag": ["winter", 7], "o:testmode": False}) == {
        "o:tag": ["welcome", "winter", "7"], "o:testmode": "false",
    }  # fmt: skip


SETTINGS = """\
workspace: shop
timezone: UTC
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels:
  email: {adapter: resend, api_key: "${RESEND_API_KEY}", extra: EXTRA}
"""


def problems(root: Path, extra: str) -> list[Problem]:
    (root / "treue.yaml").write_text(SETTINGS.replace("EXTRA", extra))
    workspace = load(root, installed_adapters)
    return [*workspace.problems, *channel_problems(workspace)]


def test_the_settings_have_it_as_the_provider_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEND_API_KEY", "re_x")
    monkeypatch.setenv("TOPIC", "news")
    extra = '{topic_id: "${TOPIC}", tags: [{name: season, value: winter}], deep: {on: true, n: 2}}'
    assert problems(tmp_path, extra) == []
    with assembled(load(tmp_path, installed_adapters).require()) as assembly:
        assert assembly.engine.delivery is not None
        channel: Any = assembly.engine.delivery.channels["email"]
        assert channel.extra == {
            "topic_id": "news", "tags": [{"name": "season", "value": "winter"}], "deep": {"on": True, "n": 2},
        }  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        ("winter", "T203", "a mapping of the provider's own fields"),
        ("[winter]", "T203", "a mapping of the provider's own fields"),
        ("{deep: {webhook_secret: abc}}", "T212", "A secret does not belong in this file"),
        ('{deep: ["${TOPIC"]}', "T203", "A variable here is not closed"),
    ],
)
def test_what_is_wrong_with_it_is_told_with_its_place(
    tmp_path: Path, extra: str, code: str, said: str
) -> None:
    (problem,) = problems(tmp_path, extra)
    assert (problem.code, problem.place.line) == (code, 5)
    assert said in problem.message


def test_one_that_is_no_mapping_is_refused_at_the_start() -> None:
    with pytest.raises(ChannelError, match="`extra` of Resend is a mapping"):
        test_resend.TestContract().adapter("http://127.0.0.1:9", extra="winter")

"""What treue.yaml says, and what it must not say."""

from __future__ import annotations

import pytest

from treue.clock import Duration
from treue.errors import SettingsError
from treue.language.grammar import INVALID, Anything, Context
from treue.language.pressure import Limit
from treue.language.problems import Problems
from treue.language.settings import SETTINGS, Env, declared_schema, has_password, only_variables
from treue.language.source import Mapping, read
from treue.vocabulary.registry import WORDS

HEAD = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: Hafenstr. 1}
"""


def root(text: str) -> Mapping:
    found = read("treue.yaml", text, Problems())
    assert found is not None
    return found


def codes(text: str) -> list[str]:
    problems = Problems()
    SETTINGS.parse(root(text), Context(problems, words=WORDS))
    return [problem.code for problem in problems.all()]


def test_what_is_left_out_has_a_default() -> None:
    settings = SETTINGS.parse(root(HEAD), Context(Problems(), words=WORDS))
    assert settings is not INVALID
    assert (settings.locale, str(settings.database)) == ("en", "${TREUE_DATABASE:-sqlite:///treue.db}")
    assert settings.schema.attributes["email"] == "text"
    assert "customer.created" in settings.schema.events


@pytest.mark.parametrize(
    ("written", "environment", "value"),
    [
        ("plain", {}, "plain"),
        ("${A}", {"A": "x"}, "x"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-}", {}, ""),
        ("smtp://${U}:${P}@host", {"U": "me", "P": "s:e@c"}, "smtp://me:s:e@c@host"),
        ("${A:-sqlite:///treue.db}", {}, "sqlite:///treue.db"),
        ("$A and $5", {"A": "x"}, "$A and $5"),
        ("${A}", {"A": "${B}", "B": "x"}, "${B}"),
    ],
)
def test_variables_are_filled_in_from_the_environment(
    written: str, environment: dict[str, str], value: str
) -> None:
    assert Env(written).value(environment) == value


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SettingsError, match="SHOP_SECRET is not set"):
        Env("${SHOP_SECRET}").value({})


@pytest.mark.parametrize("text", ["${A}", "${A:-}", "${A_1}"])
def test_a_secret_may_be_one_variable(text: str) -> None:
    assert only_variables(text)


@pytest.mark.parametrize("text", ["", "x", "${A}x", "x${A}", "${A:-x}", "${A}${B}", "$A", "${a}"])
def test_a_secret_may_be_nothing_else(text: str) -> None:
    assert not only_variables(text)


@pytest.mark.parametrize(
    "text",
    [
        "smtp://me:x@host",
        "${A:-smtp://me:x@host}",
        "postgresql://me:${P:-x}@db/shop",
        "redis://:x@host",
        "a://b:c@d@e",
    ],
)
def test_a_password_written_into_an_address_is_noticed(text: str) -> None:
    assert has_password(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp://host:25",
        "smtp://me@host",
        "smtp://me:${P}@host",
        "${A}",
        "sqlite:///treue.db",
        "a:b@c",
        "http://h/p",
    ],
)
def test_an_address_without_a_password_is_fine(text: str) -> None:
    assert not has_password(text)


@pytest.mark.parametrize(
    "option",
    [
        "secret: abc",
        "token: 12345",
        "api_key: true",
        "API_KEY: abc",
        "smtp_password: abc",
        "apikey: abc",
        "auth: abc",
        'token: "${A:-abc}"',
        'url: "smtp://me:abc@host"',
        "credentials: file.json",
        "urls: tgram://abc",
    ],
)
def test_a_literal_secret_of_a_channel_is_refused(option: str) -> None:
    assert codes(f"{HEAD}channels: {{email: {{adapter: smtp, {option}}}}}\n") == ["T212"]


@pytest.mark.parametrize(
    "option",
    [
        'secret: "${A}"',
        'token: "${A:-}"',
        "port: 25",
        "tls: true",
        "host: mail.example",
        'url: ""',
        "timeout: 1.5",
        "keyboard: abc",
        'url: "smtp://${U}:${P}@host"',
    ],
)
def test_any_other_option_of_a_channel_is_left_to_its_adapter(option: str) -> None:
    assert codes(f"{HEAD}channels: {{email: {{adapter: smtp, {option}}}}}\n") == []


def test_an_address_of_the_database_may_not_carry_a_password() -> None:
    assert codes(f"{HEAD}database: postgresql://me:abc@db/shop\n") == ["T212"]


@pytest.mark.parametrize(
    "text",
    ["events: [order.placed]\n", "events:\n", "evnts: {order.placed: {}}\n", "events: {Order Placed: {}}\n"],
)
def test_where_events_are_unclear_every_event_may_be_there(text: str) -> None:
    schema = declared_schema(root(HEAD + text))
    assert isinstance(schema.events, Anything)
    assert "anything.at_all" in schema.events
    assert schema.events.get("customer.created") == {"source": "text"}


def test_where_the_settings_cannot_be_read_everything_may_be_there() -> None:
    schema = declared_schema(None)
    assert schema.attributes.get("anything") == "?"
    assert schema.events["anything"].get("at_all") == "?"
    assert schema.channels == ("email", "sms", "push")


def test_where_nothing_is_wrong_only_what_is_declared_is_there() -> None:
    schema = declared_schema(root(f"{HEAD}events: {{order.placed: {{total: number}}}}\n"))
    assert "order.payed" not in schema.events
    assert schema.attributes.get("shoe_size") is None
    assert schema.channels == ()


def test_limits_and_quiet_hours_are_read_as_written() -> None:
    channels = "channels: {email: {adapter: smtp}, sms: {adapter: inbox}}\n"
    limits = "limits: [{at_most: 3, per: 7d}, {at_most: 1, per: 1d 12h, channel: sms, when_over: drop}]\n"
    settings = SETTINGS.parse(
        root(f'{HEAD}{channels}{limits}quiet_hours: {{sms: "20:00-08:15"}}\n'),
        Context(Problems(), words=WORDS),
    )
    assert settings.limits == (
        Limit(3, Duration(days=7), None, None, "postpone"),
        Limit(1, Duration(days=1, seconds=12 * 3600), "sms", None, "drop"),
    )
    assert settings.quiet_hours == {"sms": (20 * 60, 8 * 60 + 15)}
    assert [str(limit) for limit in settings.limits] == ["3 in 1w", "1 in 1d 12h on sms"]
    assert str(settings.quiet_hours["sms"]) == "20:00-08:15"


def test_one_limit_need_not_be_a_list() -> None:
    settings = SETTINGS.parse(
        root(f"{HEAD}limits: {{at_most: 3, per: 7d}}\n"), Context(Problems(), words=WORDS)
    )
    assert settings.limits == (Limit(3, Duration(days=7)),)

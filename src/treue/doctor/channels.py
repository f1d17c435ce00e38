"""Whether each channel's adapter can be made from its settings, and whom mails come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from treue.delivery.adapters import INBOX, prove_fit, taker
from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings
from treue.errors import ChannelError, SettingsError
from treue.language.settings import ChannelSettings

KEPT_HERE = (INBOX, "file")
"""Who takes messages and keeps them on this machine."""

RESERVED = ("example", "invalid", "test", "localhost", "example.com", "example.net", "example.org")
"""Domains that nobody can have (RFC 2606)."""


def leaves(settings: ChannelSettings) -> bool:
    """Whether a channel's messages leave this machine, as far as its settings can be read."""
    try:
        return taker(settings) not in KEPT_HERE
    except SettingsError:
        return True


def check_channels(surroundings: Surroundings) -> Iterator[Finding]:
    """Make each channel's adapter and let it go again; nothing is connected."""
    workspace = surroundings.workspace
    if not workspace.settings.channels:
        yield warning("There is no channel.", "Name one under `channels` in treue.yaml.")
    for name, settings in workspace.settings.channels.items():
        kind: Any = name
        if not leaves(settings):
            who = "the built-in inbox" if taker(settings) == INBOX else "a folder of files"
            yield warning(f"{name}: {who} takes the messages; no customer gets any.", _named(name, settings))
            continue
        try:
            prove_fit(kind, settings, workspace.root)
        except (ChannelError, SettingsError) as error:
            yield wrong(f"{name}: {error}", f"docs/channels/{settings.adapter}.md has what it needs.")
        except Exception as error:  # whatever an adapter does, the other channels are told of
            said = f"{type(error).__name__}: {error}"
            yield wrong(f"{name}: The adapter {settings.adapter} cannot be made: {said}.", "Tell its author.")
        else:
            yield well(f"{name}: {settings.adapter} takes its settings.")


def _named(name: str, settings: ChannelSettings) -> str:
    if settings.adapter == "smtp":
        return "Set the variable that its `url` names, such as SMTP_URL."
    return f"Name a provider's adapter under `channels: {{{name}: …}}`; docs/channels has them."


def check_sender(surroundings: Surroundings) -> Iterator[Finding]:
    """Look whom mails come from: with the postal address the law wants, from a domain that somebody can have."""
    sender, channel = (
        surroundings.workspace.settings.sender,
        surroundings.workspace.settings.channels.get("email"),
    )
    if channel is None:
        yield well("No mails are sent.")
        return
    if not sender.postal_address.strip():
        yield wrong(
            "The sender has no postal address, which every marketing message must show.",
            "Write it under `sender: {postal_address: …}` in treue.yaml.",
        )
    if leaves(channel) and is_reserved(domain := sender.email.rpartition("@")[2]):
        yield wrong(
            f"Mails come from {domain}, a domain that nobody can have: they are refused or lost.",
            "Write an address of your own under `sender: {email: …}` in treue.yaml.",
        )
    elif sender.postal_address.strip():
        yield well(f"Mails come from {sender.email}, with a postal address.")


def is_reserved(domain: str) -> bool:
    """Whether a domain is one of those that are only for examples and tests."""
    return any(domain.lower() == one or domain.lower().endswith(f".{one}") for one in RESERVED)

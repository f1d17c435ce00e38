"""From the settings to adapters: what `channels` in treue.yaml becomes, for sending and for callbacks."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from treue.channel import (
    Channel,
    Keeper,
    Kind,
    Receiver,
    channel_factory,
    served_kinds,
    service_factory,
)
from treue.delivery.gates import rate_per_second
from treue.errors import ChannelError
from treue.language.settings import ChannelSettings, Env, Settings
from treue.workspace.files import CHANNELS_FOLDER, state_folder

INBOX_FILE = "inbox.db"

INBOX = "the built-in inbox"
"""Who takes messages that no provider is named for, in words."""


def make_channel(kind: Kind, settings: ChannelSettings, root: Path, stack: ExitStack) -> Channel:
    """Return the adapter that sends on a channel. Raises ChannelError where the settings do not fit it.

    Where e-mail has no server, the built-in inbox is started, until the stack ends, and takes the mail.
    """
    factory, options = _factory(kind, settings, root), _options(settings, root)
    if settings.adapter == "smtp" and _lacks_server(settings):
        inbox = service_factory("inbox")(state_folder(root) / INBOX_FILE)
        inbox.start()
        stack.callback(inbox.stop)
        options["url"] = inbox.smtp_url
    channel: Channel = _made(factory, kind, settings, options)
    return channel


def taker(settings: ChannelSettings) -> str:
    """Return in words who takes the messages of a channel."""
    inbox = settings.adapter == "inbox" or (settings.adapter == "smtp" and _lacks_server(settings))
    return INBOX if inbox else settings.adapter


def prove_fit(kind: Kind, settings: ChannelSettings, root: Path) -> None:
    """Make the adapter of a channel that has a server, with its secrets, and let it go again; nothing is connected.

    Raises ChannelError where the settings do not fit it, SettingsError where a variable is not set.
    """
    _made(_factory(kind, settings, root), kind, settings, _options(settings, root)).close()


def option(settings: ChannelSettings, name: str) -> str:
    """Return an option of a channel as a text, empty where it is not set. Raises SettingsError as `Env.value`."""
    return str(_filled(settings.options.get(name, "")))


def _lacks_server(settings: ChannelSettings) -> bool:
    url = settings.options.get("url")
    return not (url.value() if isinstance(url, Env) else url)


def rates(settings: Settings, channels: Mapping[str, Channel]) -> dict[str, float]:
    """Return each channel's messages a second: the settings', else what its provider names."""
    declared = {name: rate_per_second(one.rate) for name, one in settings.channels.items()}
    return {name: declared.get(name, 0.0) or channel.capabilities.rate for name, channel in channels.items()}


def forget(settings: Settings, root: Path, addresses: Collection[str]) -> None:
    """Delete what channels keep on this machine of messages to these addresses: in the inbox, in files."""
    inbox = state_folder(root) / INBOX_FILE
    if inbox.exists():
        service_factory("inbox")(inbox).forget(addresses)
    for name, channel in settings.channels.items():
        kind: Any = name
        factory = _factory(kind, channel, root)
        if issubclass(factory, Keeper):
            _made(factory, kind, channel, _options(channel, root)).forget(addresses)


class Receivers:
    """The adapters of those channels whose providers call back, each made when its first callback comes."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings, self._root = settings, root
        self._made: dict[str, Receiver] = {}
        self._lock = threading.Lock()

    def get(self, channel: str) -> Receiver | None:
        """Return who reads a channel's callbacks, or None where there is no such channel or its provider never calls.

        Raises SettingsError and ChannelError where the channel is not set up for it.
        """
        with self._lock:
            if channel not in self._made and (made := self._make(channel)) is not None:
                self._made[channel] = made
            return self._made.get(channel)

    def close(self) -> None:
        """Let go of what the adapters hold."""
        for made in self._made.values():
            if isinstance(made, Channel):
                made.close()

    def _make(self, channel: str) -> Receiver | None:
        settings = self._settings.channels.get(channel)
        if settings is None:
            return None
        kind: Any = channel
        factory = _factory(kind, settings, self._root)
        if not hasattr(factory, "read_receipts"):
            return None
        receiver: Receiver = _made(factory, kind, settings, _options(settings, self._root))
        return receiver


def _factory(kind: Kind, settings: ChannelSettings, root: Path) -> Any:
    factory = channel_factory(settings.adapter, root / CHANNELS_FOLDER)
    served = served_kinds(factory)
    if kind not in served:
        raise ChannelError(
            f"The adapter {settings.adapter} is for {' and '.join(served)}; give `{kind}` another in treue.yaml."
        )
    return factory


def _options(settings: ChannelSettings, root: Path) -> dict[str, Any]:
    options: dict[str, Any] = {name: _filled(value) for name, value in settings.options.items()}
    if settings.adapter == "inbox":
        options["box"] = state_folder(root) / INBOX_FILE
    if settings.adapter == "file":
        options["path"] = Path(options.get("path") or state_folder(root) / "sent")
    return options


def _filled(value: Any) -> Any:
    """Return a setting with the environment's variables in it, however deep."""
    if isinstance(value, Mapping):
        return {name: _filled(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one) for one in value]
    return value.value() if isinstance(value, Env) else value


def _made(factory: Any, kind: Kind, settings: ChannelSettings, options: Mapping[str, Any]) -> Any:
    try:
        return factory(kind=kind, **options)
    except TypeError as error:
        raise ChannelError(
            f"The channel `{kind}` in treue.yaml does not fit the adapter {settings.adapter}: {error}."
        ) from error
    except ImportError as error:
        extra = f"pip install 'treue[{settings.adapter}]'"
        raise ChannelError(
            f"The adapter {settings.adapter} needs the package {error.name}: {extra} brings what ours need."
        ) from error

"""Whether the channels in `treue.yaml` fit their adapters: kind, options, packages. Nothing is made or connected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from treue.channel import channel_factory, installed_adapters, own_adapters, served_kinds
from treue.channel.options import missing_packages, options_of
from treue.errors import ChannelError
from treue.language.problems import Problem, Problems, did_you_mean, listing, nearest
from treue.language.settings import is_secret
from treue.language.source import Mapping, Scalar, read
from treue.model.states import CHANNELS
from treue.workspace.files import CHANNELS_FOLDER, SETTINGS_FILE
from treue.workspace.workspace import Workspace


def channel_problems(workspace: Workspace) -> list[Problem]:
    """Return what does not fit. Adapters nobody knows are the loader's to tell; the workspace's own are loaded."""
    text = workspace.texts.get(SETTINGS_FILE)
    settings = read(SETTINGS_FILE, text, Problems()) if text is not None else None
    channels = settings.get("channels") if settings else None
    found: list[Problem] = []
    for kind, channel in channels.entries if isinstance(channels, Mapping) else ():
        if kind.text in CHANNELS and isinstance(channel, Mapping):
            found += _of(workspace, kind.text, channel)
    return sorted(found)


def _of(workspace: Workspace, kind: str, channel: Mapping) -> Iterator[Problem]:
    adapter, folder = channel.get("adapter"), workspace.root / CHANNELS_FOLDER
    if not isinstance(adapter, Scalar) or adapter.text not in [*installed_adapters(), *own_adapters(folder)]:
        return
    install, missing = missing_packages(adapter.text)
    if missing:
        lacks = (
            f"The adapter `{adapter.text}` needs {listing(missing)}, which {_is(missing)} not installed here."
        )
        yield Problem(adapter.place, "T321", lacks, f"`{install}` brings what it needs.")
    try:
        factory = channel_factory(adapter.text, folder)
        kinds = served_kinds(factory)
    except Exception as error:  # whatever an adapter's module does, the other problems are told
        message = (
            str(error)
            if isinstance(error, ChannelError)
            else f"The adapter `{adapter.text}` cannot be loaded: {error}."
        )
        yield Problem(adapter.place, "T322", message)
        return
    if kind not in kinds:
        message = f"The adapter `{adapter.text}` is for {listing(kinds)}, not for `{kind}`."
        yield Problem(adapter.place, "T318", message, _others(kind))
        return
    yield from _options(adapter, factory, channel)


def _options(adapter: Scalar, factory: Any, channel: Mapping) -> Iterator[Problem]:
    options = options_of(adapter.text, factory)
    written = [key for key, _ in channel.entries if key.text not in ("adapter", "rate")]
    unknown = [key for key in written if key.text not in options.taken and not options.anything]
    there = {key.text for key in written} | {nearest(key.text, options.offered) for key in unknown}
    for name in options.required:
        if name not in there:
            message = f"The adapter `{adapter.text}` needs `{name}`."
            yield Problem(adapter.place, "T319", message, f"Write {_example(adapter.text, name)} beside it.")
    for key in unknown:
        message = f"The adapter `{adapter.text}` knows no `{key.text}`."
        hint = did_you_mean(key.text, (*options.offered, "rate"), "Delete it.")
        yield Problem(key.place, "T320", message, hint)


def _others(kind: str) -> str | None:
    """Return which installed adapters serve a kind of channel."""
    found = []
    for name in installed_adapters():
        try:
            found += [name] if kind in served_kinds(channel_factory(name)) else []
        except Exception:  # noqa: S112 - an adapter that cannot be loaded is none to propose
            continue
    return f"For `{kind}` there {_is(found)} {listing(found)}." if found else None


def _example(adapter: str, name: str) -> str:
    variable = name if name.startswith(f"{adapter}_") else f"{adapter}_{name}"
    value = f'"${{{variable.upper()}}}"' if is_secret(name) else "…"
    return f"`{name}: {value}`"


def _is(things: list[str]) -> str:
    return "is" if len(things) == 1 else "are"

"""A workspace put together for running: database, templates, channels, outbox, engine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from treue.channel import channel_factory
from treue.delivery.adapters import INBOX_FILE, Receivers, make_channel, rates
from treue.delivery.dispatcher import Delivery
from treue.delivery.writing.composer import Writer
from treue.delivery.writing.copies import Copies
from treue.engine.passes.engine import Engine
from treue.engine.steps.personal import Personal
from treue.engine.versions.application import Applied, Files, Look, apply, differing, keep_words, look
from treue.engine.versions.versions import Published, Version, publish
from treue.engine.versions.wordings import FilesWords
from treue.engine.what_if.forecast import Forecast, forecast
from treue.errors import SettingsError
from treue.language.journey import Moved
from treue.language.problems import did_you_mean
from treue.language.settings import Settings
from treue.language.steps import OutboxCall, Stage, walk
from treue.model.states import WEBHOOK
from treue.plan.flatten import build
from treue.plan.plan import Plan
from treue.render.mail.links import Links, workspace_secret
from treue.render.mail.return_paths import ReturnPaths
from treue.render.templates.enclosures import Enclosure
from treue.render.templates.renderer import Renderer
from treue.render.templates.workspace_check import can_be_written, template_problems, workspace_renderer
from treue.store import journeys, pictures, zones
from treue.store.erasures import Erasures
from treue.store.store import Store
from treue.store.wordings import Words
from treue.workspace.files import state_folder, template_files
from treue.workspace.workspace import Workspace

COPIES = "words"
"""The folder in the state folder that has the templates which versions keep."""

CALLS = "calls"
"""The adapter behind `call` steps."""


@dataclass
class Assembly:
    """Everything a command or a server works with. Made by `assembled`."""

    workspace: Workspace
    store: Store
    renderer: Renderer
    links: Links
    engine: Engine
    state: Path
    receivers: Receivers

    @property
    def settings(self) -> Settings:
        """The workspace's settings."""
        return self.workspace.settings

    @property
    def return_paths(self) -> ReturnPaths:
        """What tells our messages by the addresses they come back to."""
        return ReturnPaths(workspace_secret(self.state))

    @cached_property
    def copies(self) -> Copies:
        """What versions keep of their templates."""
        return copies_of(self.store, self.renderer, self.state)

    @property
    def inbox_path(self) -> Path:
        """The file in which the built-in inbox keeps what it gets."""
        return self.state / INBOX_FILE

    def files(self, *, migrate: bool = False) -> Files:
        """Return what the files say. Raises WorkspaceError where a template would fail customers."""
        wrong = [problem for problem in template_problems(self.workspace) if not problem.is_warning]
        replace(self.workspace, problems=wrong).require()
        sources = {
            name: self.workspace.texts.get(f"journeys/{name}.yaml", "") for name in self.workspace.journeys
        }
        found = tuple(plans(self.workspace, self.renderer))
        return Files(found, sources, self.settings.timezone, migrate, self._words())

    def _words(self) -> FilesWords:
        """Return the templates as they are in the files."""
        root = self.workspace.root
        found = {name: Words(template_files(root, name)) for name in self.workspace.templates}
        return FilesWords(found, partial(can_be_written, self.workspace, self.renderer))

    def publish(self, now: datetime) -> Published:
        """Make the files' journeys the live ones; those inside finish on their versions. Raises as `files`."""
        files = self.files()
        self._know_zone()
        published = publish(self.store, files.plans, files.sources, now)
        keep_words(self.store, files)
        return published

    def begin(self, now: datetime) -> tuple[str, ...]:
        """Publish into a store that no journey was ever published to; else return which files differ from what runs."""
        files = self.files()
        with self.store.reading() as connection:
            is_new = not journeys.names(connection)
            differences = () if is_new else differing(connection, files)
        if not is_new:
            keep_words(self.store, files, only_new=True)
            return differences
        self.publish(now)
        return ()

    def look(self, files: Files, now: datetime | None = None, *, everything: bool = False) -> Look:
        """Return what these files would change; with `now`, also whom exits concern that are asked from then on."""
        with self.store.reading() as connection:
            return look(connection, files, now, everything=everything)

    def strange_moves(self) -> list[str]:
        """Say which `moved` names a step that no version in this database ever had: it may be misspelt."""
        with self.store.reading() as connection:
            states = journeys.by_name(connection)
            known = {name: journeys.ids(connection, state.journey_id) for name, state in states.items()}
        return [
            _strange_move(one, name, known[name])
            for name, journey in self.workspace.journeys.items()
            for one in journey.moved
            if known.get(name) and one.old not in known[name]
        ]

    def forecast(self, files: Files, now: datetime) -> Forecast:
        """Return what the next 24 hours would bring if these files were applied now; as they are, where they cannot be."""
        self._know_zone()
        channels: list[Any] = [*self.settings.channels, WEBHOOK]
        return forecast(self.engine, channels, lambda store: apply(store, files, now), now)

    def apply(
        self,
        files: Files,
        now: datetime,
        expected: Mapping[str, Any] | None = None,
        *,
        everything: bool = False,
    ) -> Applied:
        """Make the files what runs, or refuse where the world is not as `expected` any more.

        With `everything`, versions that keep older words of a template get today's as well.
        """
        self._know_zone()
        return apply(self.store, files, now, expected, everything=everything)

    def _know_zone(self) -> None:
        with self.store.transaction() as connection:
            zones.ensure(connection, [self.settings.timezone])


def _strange_move(one: Moved, journey: str, known: Iterable[str]) -> str:
    where = f"{one.place.file}:{one.place.line}:{one.place.column}"
    hint = did_you_mean(one.old, known)
    return f"{where}: no version of {journey} here has had a step `{one.old}`." + (f" {hint}" if hint else "")


def database_url(workspace: Workspace) -> str:
    """Return the database's address; a relative SQLite file lies in the workspace."""
    url = workspace.settings.database.value()
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/") and ":memory:" not in url:
        return prefix + str(workspace.root / url.removeprefix(prefix))
    return url


def make_renderer(workspace: Workspace, store: Store) -> Renderer:
    """Return the renderer of a workspace's templates; the pictures they show are kept in its store."""

    def keep(one: Enclosure) -> None:
        pictures.keep(store, one.digest, one.name, one.media_type, one.content)

    return workspace_renderer(workspace, keep)


def copies_of(store: Store, renderer: Renderer, state: Path) -> Copies:
    """Return what versions keep of their templates, laid out in the workspace's state folder."""
    return Copies(store, renderer, state / COPIES)


def make_engine(settings: Settings, store: Store, delivery: Delivery | None, state: Path) -> Engine:
    """Return the engine that works by a workspace's settings on a store."""
    personal = Personal(settings.schema.attributes, settings.schema.events)
    pressure = settings.pressure
    return Engine(
        store, settings.timezone, settings.workspace, delivery, state, personal, pressure, settings.hold
    )


def plans(workspace: Workspace, renderer: Renderer) -> list[Plan]:
    """Return the plans of all journeys."""
    return [
        build(journey, lambda t, c: renderer.category(t, c) or None)
        for journey in workspace.journeys.values()
    ]


class _Stages(Mapping[tuple[int, int], Stage]):
    """The stages of all versions in use that put messages in the outbox, looked up when first asked for."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self._known: dict[tuple[int, int], Stage] = {}

    def learn(self, versions: list[Version]) -> None:
        for version in versions:
            for stage in version.plan.stages:
                if stage.outbox():
                    self._known[version.version_id, version.steps[stage.id]] = stage

    def __getitem__(self, key: tuple[int, int]) -> Stage:
        if key not in self._known and self.engine is not None:
            self.learn(self.engine.versions())
        return self._known[key]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@contextmanager
def assembled(workspace: Workspace, *, deliver: bool = True) -> Iterator[Assembly]:
    """Put a workspace together; with `deliver`, also its channels. Everything is let go of at the end.

    Where e-mail has no server, the built-in inbox is started and takes the mail. Raises WorkspaceError where
    the files have problems, SettingsError, StoreError and ChannelError where the surroundings do not fit.
    """
    workspace.require()
    settings, state = workspace.settings, state_folder(workspace.root)
    with ExitStack() as stack:
        store = Store.open(database_url(workspace), create=True)
        stack.callback(store.close)
        renderer = make_renderer(workspace, store)
        links = Links(settings.public_url.value(), workspace_secret(state))
        stages = _Stages()
        delivery = None
        if deliver:
            channels = {
                name: make_channel(name, channel, workspace.root, stack)  # type: ignore[arg-type]
                for name, channel in settings.channels.items()
            }
            if settings.calls:
                require_secrets(workspace)
                channels[WEBHOOK] = channel_factory(CALLS)(kind=WEBHOOK, hosts=settings.calls)
            for channel in channels.values():
                stack.callback(channel.close)
            abilities = {name: channel.capabilities for name, channel in channels.items()}
            paths = ReturnPaths(workspace_secret(state))
            writer = Writer(
                store,
                renderer,
                links,
                settings.sender,
                settings.workspace,
                stages,
                abilities,
                paths,
                copies_of(store, renderer, state),
            )
            delivery = Delivery(
                store, channels, writer, state, rates(settings, channels), Erasures(workspace_secret(state))
            )
            stack.callback(delivery.close)
        engine = make_engine(settings, store, delivery, state)
        stages.engine = engine
        receivers = Receivers(settings, workspace.root)
        stack.callback(receivers.close)
        yield Assembly(workspace, store, renderer, links, engine, state, receivers)


def require_secrets(workspace: Workspace) -> None:
    """Raise SettingsError where a call is to be signed with a secret that is not in the environment."""
    for name, journey in workspace.journeys.items():
        for step in walk(journey.steps):
            call = step.outbox()
            if isinstance(call, OutboxCall) and call.secret and not os.environ.get(call.secret):
                where = f"the call in journeys/{name}.yaml, line {step.place.line}, is signed with it"
                raise SettingsError(f"The environment variable {call.secret} is not set; {where}.")

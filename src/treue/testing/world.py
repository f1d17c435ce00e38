"""The throw-away world a journey's test happens in: its own database, real templates, channels that remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from sqlalchemy import event

from treue.channel import Accepted, Capabilities, Kind, Outgoing, Progress, Receipt
from treue.composition.assembly import make_engine
from treue.delivery.dispatcher import Delivery
from treue.delivery.writing.composer import Writer
from treue.engine.versions.versions import Version, publish
from treue.engine.what_if.stand_ins import standing_still
from treue.language.journey import Journey
from treue.language.steps import Stage
from treue.model.states import CHANNELS, WEBHOOK
from treue.model.tables import metadata
from treue.plan.flatten import build
from treue.plan.plan import Plan
from treue.render.mail.links import Links
from treue.render.templates.workspace_check import workspace_renderer
from treue.store import zones
from treue.store.store import Store
from treue.workspace.workspace import Workspace

_SECRET = b"links in a test lead nowhere"


@dataclass(frozen=True)
class SeenMessage:
    """What a customer sees of a message: subject (or title), and all its words."""

    subject: str
    text: str


class Recorder:
    """A channel that accepts everything and remembers it by its key."""

    def __init__(self, kind: Kind) -> None:
        self.capabilities = Capabilities(kind, batch=500)
        self._sent: dict[str, Outgoing] = {}

    def send(self, batch: Sequence[Outgoing], progress: Progress) -> list[Receipt]:
        """Accept each message."""
        self._sent.update((message.key, message) for message in batch)
        return [Accepted("") for _ in batch]

    def close(self) -> None:
        """Nothing to let go of."""

    def outgoing(self, key: str) -> Outgoing:
        """Return what was handed over under a key."""
        return self._sent[key]

    def letter(self, key: str) -> SeenMessage:
        """Return what a customer sees of what was sent under a key."""
        message = self._sent[key]
        if not message.raw:
            return SeenMessage(
                message.title, "\n".join(part for part in (message.title, message.text) if part)
            )
        mail = message_from_bytes(message.raw, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        texts = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
        return SeenMessage(str(mail["Subject"]), "\n".join([str(mail["Subject"]), *texts]))


def _throw_away_store(folder: Path) -> Store:
    """Return an empty SQLite store that skips the wait for the disk at each commit: nothing of it is kept."""

    def hurry(connection: Any, record: Any) -> None:  # noqa: ARG001
        connection.execute("PRAGMA synchronous = OFF")

    store = Store(f"sqlite:///{folder / 'test.db'}", create=True)
    event.listen(store.engine, "connect", hurry)
    store.upgrade()
    return store


class World:
    """One throw-away database for any number of tests, each on its own: `begin` empties it. Close it at the end."""

    def __init__(self, workspace: Workspace, state: Path) -> None:
        self.workspace, self._state = workspace, state
        self.settings = workspace.settings
        self.store = _throw_away_store(state)
        self._renderer = workspace_renderer(workspace)
        self._links = Links("http://localhost:8420", _SECRET)
        self._plans: dict[str, Plan] = {}
        self.channels: dict[str, Recorder] = {}
        self.engine = make_engine(self.settings, self.store, None, self._state)
        self._delivery: Delivery | None = None

    def begin(self, journeys: Sequence[Journey], live: datetime) -> None:
        """Empty the database and make these journeys live; nothing of an earlier test is left."""
        with self.store.transaction() as connection:
            for table in reversed(metadata.sorted_tables):
                if table.name != "timezone_offset":  # the same for every test, and the most rows
                    connection.execute(table.delete())
            zones.ensure(connection, [self.settings.timezone])
        sources = {
            journey.name: self.workspace.texts.get(f"journeys/{journey.name}.yaml", "")
            for journey in journeys
        }
        publish(self.store, [self.plan(journey) for journey in journeys], sources, live)
        self._open()

    def plan(self, journey: Journey) -> Plan:
        """Return a journey's plan."""
        if journey.name not in self._plans:
            self._plans[journey.name] = build(journey, lambda t, c: self._renderer.category(t, c) or None)
        return self._plans[journey.name]

    def versions(self) -> list[Version]:
        """Return the versions of the journeys that are live."""
        return self.engine.versions()

    def letter(self, channel: str, key: str) -> SeenMessage:
        """Return what was sent under a message's key."""
        return self.channels[channel].letter(key)

    def outgoing(self, channel: str, key: str) -> Outgoing:
        """Return what was handed to a channel under a message's key."""
        return self.channels[channel].outgoing(key)

    def close(self) -> None:
        """Let go of everything."""
        if self._delivery:
            self._delivery.close()
        self.store.close()

    def _open(self) -> None:
        if self._delivery:
            self._delivery.close()
        kinds = [*(kind for kind in CHANNELS if kind in self.settings.channels), WEBHOOK]
        self.channels = {kind: Recorder(kind) for kind in kinds}  # type: ignore[arg-type]
        self.engine = make_engine(self.settings, self.store, None, self._state)
        writer = Writer(
            self.store,
            self._renderer,
            self._links,
            self.settings.sender,
            self.settings.workspace,
            self._stages(),
        )
        self._delivery = Delivery(self.store, self.channels, writer, self._state, clock=standing_still)
        self.engine.delivery = self._delivery

    def _stages(self) -> dict[tuple[int, int], Stage]:
        """Return the stages of the versions that are live that put messages in the outbox."""
        return {
            (version.version_id, version.steps[stage.id]): stage
            for version in self.versions()
            for stage in version.plan.stages
            if stage.outbox()
        }

"""Templates edited, removed and tidied away while people are inside: what `plan` says is what then happens."""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.engine.scene import Sink
from tests.render.writing import rendered
from treue.composition.assembly import Assembly, assembled
from treue.composition.vacuum import vacuum
from treue.delivery.keys import message_key
from treue.engine.door.arrivals import enroll
from treue.engine.passes.chronology import run_pass
from treue.engine.versions.application import Applied, Look
from treue.model.tables import customer, enrollment, message, wording, words
from treue.store import customers, printed
from treue.store.inputs import CustomerInput
from treue.vocabulary.workspace import load

SETTINGS = """\
workspace: corner-shop
timezone: UTC
locale: en
sender: {name: Corner Shop, email: hello@corner-shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels: {sms: {adapter: inbox}}
customer: {first_name: text}
events: {shop.visited: {page: text}}
database: "${TREUE_DATABASE:-sqlite:///treue.db}"
"""
START = datetime(2026, 3, 2, 10, tzinfo=UTC)


@dataclass
class Shop:
    """A workspace on the disk, changed between runs, and what was sent."""

    root: Path
    now: datetime = START
    sms: Sink = field(default_factory=lambda: Sink("sms"))

    def template(self, name: str, text: str | None) -> None:
        folder = self.root / "templates" / name
        if text is None:
            shutil.rmtree(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "sms.txt").write_text(text, encoding="utf-8")

    def journey(self, name: str, *sends: str, data: Collection[str] = ()) -> None:
        """Write a journey that sends these a day apart, with `who` for those in `data`; with no sends remove it."""
        path = self.root / "journeys" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        if not sends:
            path.unlink()
            return
        given = {send: ", data: {who: you}" if send in data else "" for send in sends}
        steps = "".join(f"  - wait: 1d\n  - {{send: {send}, on: sms{given[send]}}}\n" for send in sends)
        path.write_text(
            f"description: A journey.\ncategory: transactional\nenter: {{manual: true}}\nsteps:\n{steps}",
            encoding="utf-8",
        )

    @contextmanager
    def open(self) -> Iterator[Assembly]:
        with assembled(load(self.root), deliver=True) as assembly:
            assert assembly.engine.delivery is not None
            assembly.engine.delivery.channels = {"sms": self.sms}
            yield assembly

    def run(self) -> None:
        with self.open() as assembly:
            run_pass(assembly.engine, self.now)

    def later(self, **length: float) -> None:
        self.now += timedelta(**length)
        self.run()

    def enroll(self, journey: str, *keys: str) -> None:
        with self.open() as assembly, assembly.store.transaction() as connection:
            given = [
                CustomerInput(key, phone=f"+44770090{n:04}") for n, key in enumerate(keys, len(journey) * 100)
            ]
            ids = _ids(connection, given, self.now)
            number = next(v.journey_id for v in assembly.engine.versions() if v.name == journey)
            enroll(connection, number, ids, self.now)
        self.run()

    def look(self, *, words: bool = False) -> Look:
        with self.open() as assembly:
            return assembly.look(assembly.files(), self.now, everything=words)

    def apply(self, *, words: bool = False) -> Applied:
        with self.open() as assembly:
            return assembly.apply(assembly.files(), self.now, everything=words)

    def texts(self) -> list[str]:
        found, self.sms.sent = [one.text for one in self.sms.sent], []
        return found

    def failed(self) -> int:
        with self.open() as assembly, assembly.store.reading() as connection:
            return connection.scalar(select(func.count()).where(message.c.state == "failed")) or 0


def _ids(connection: Any, given: list[CustomerInput], now: datetime) -> list[int]:
    customers.upsert(connection, given, now)
    keys = [one.key for one in given]
    return list(connection.scalars(select(customer.c.id).where(customer.c.key.in_(keys))))


@pytest.fixture
def shop(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("TREUE_DATABASE", store_url)
    (tmp_path / "treue.yaml").write_text(SETTINGS, encoding="utf-8")
    made = Shop(tmp_path)
    made.template("hello", "Hello.")
    made.template("bye", "Bye.")
    made.journey("greet", "hello", "bye")
    with made.open() as assembly:
        assembly.publish(made.now)
    return made


def told(look: Look) -> list[tuple[str, str, int]]:
    return [(one.template, one.fate, one.inside) for one in look.words]


def test_an_edit_of_wording_reaches_everybody_once_it_is_applied(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.template("hello", "Good morning.")
    assert told(shop.look()) == [("hello", "replaced", 1)]
    shop.later(days=1)
    assert shop.texts() == ["Hello."]  # nobody has applied it
    shop.enroll("greet", "ben")
    shop.apply()
    shop.later(days=1)
    assert sorted(shop.texts()) == ["Bye.", "Good morning."]
    assert shop.look().nothing


def test_a_removed_template_is_served_from_the_copy(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.journey("greet", "hello")
    shop.template("bye", None)
    assert told(shop.look()) == [("bye", "removed", 1)]
    shop.apply()
    shop.later(days=1)
    shop.later(days=1)
    assert (shop.texts(), shop.failed()) == (["Hello.", "Bye."], 0)


def test_a_removed_journey_with_its_templates_goes_on_for_those_inside(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.template("other", "Other.")
    shop.journey("other", "other")
    shop.journey("greet")
    shop.template("hello", None)
    shop.template("bye", None)
    assert told(shop.look()) == [("bye", "removed", 1), ("hello", "removed", 1)]
    shop.apply()
    shop.later(days=1)
    shop.later(days=1)
    assert (shop.texts(), shop.failed()) == (["Hello.", "Bye."], 0)


def test_a_template_tidied_away_without_being_applied_costs_nobody_a_message(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.journey("greet", "hello")
    shop.template("bye", None)
    shop.later(days=1)
    shop.later(days=1)
    assert (shop.texts(), shop.failed()) == (["Hello.", "Bye."], 0)


def test_who_cannot_be_given_the_new_words_keeps_the_old_ones(shop: Shop) -> None:
    shop.template("hello", "Hello, {{ data.what }}.")
    with pytest.raises(Exception, match="what"):
        shop.look()
    shop.template("hello", "Hello.")
    shop.enroll("greet", "ada")
    path = shop.root / "journeys" / "greet.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("send: hello,", "send: hello, data: {what: you},"), encoding="utf-8")
    shop.template("hello", "Hello, {{ data.what }}.")
    assert told(shop.look()) == [("hello", "unfit", 1)]
    shop.apply()
    shop.enroll("greet", "ben")
    shop.later(days=1)
    assert (sorted(shop.texts()), shop.failed()) == (["Hello, you.", "Hello."], 0)
    assert told(shop.look()) == [("hello", "older", 1)]


def test_older_words_are_told_and_replaced_where_that_is_wanted(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.journey("greet", "hello")
    shop.template("bye", None)
    shop.apply()
    shop.template("bye", "Goodbye.")
    assert (told(shop.look()), shop.look().nothing) == ([("bye", "older", 1)], True)
    shop.apply()
    assert told(shop.look(words=True)) == [("bye", "replaced", 1)]
    shop.apply(words=True)
    shop.later(days=1)
    shop.later(days=1)
    assert shop.texts() == ["Hello.", "Goodbye."]


def test_what_was_shown_is_not_applied_to_other_words(shop: Shop) -> None:
    shop.template("hello", "Good morning.")
    shown = shop.look()
    shop.template("hello", "Good evening.")
    with shop.open() as assembly:
        done = assembly.apply(assembly.files(), shop.now, shown.fingerprint)
    assert done.refused == ("The words of hello are not as they were.",)


def test_copies_stay_as_long_as_somebody_is_inside(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.journey("greet", "hello")
    shop.template("bye", None)
    shop.apply()
    assert _swept(shop) == 3
    shop.later(days=1)
    shop.later(days=1)
    assert _swept(shop) == 1
    with shop.open() as assembly, assembly.store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(words)) == 2, (
            "what a message was written with"
        )


def test_words_stay_as_long_as_a_message_that_was_written_with_them(shop: Shop) -> None:
    shop.enroll("greet", "ada")
    shop.later(days=1)
    shop.later(days=1)
    assert shop.texts() == ["Hello.", "Bye."]
    shop.template("hello", "Good morning.")
    shop.apply()
    _swept(shop)
    with shop.open() as assembly, assembly.store.reading() as connection:
        sent = connection.execute(select(message.c.id, message.c.template)).all()
        kept = printed.find(connection, [one.id for one in sent])
        said = {
            one.template: assembly.copies.made_of(connection, kept[one.id].digest).renderer.render(
                "sms", one.template, kept[one.id].values
            )
            for one in sent
        }
        assert {name: rendered(one).text for name, one in said.items()} == {"hello": "Hello.", "bye": "Bye."}
        assert connection.scalar(select(func.count()).select_from(words)) == 3
    (shop.root / "treue.yaml").write_text(SETTINGS + "retention: {messages: 30d}\n", encoding="utf-8")
    shop.now += timedelta(days=40)
    _swept(shop)
    with shop.open() as assembly, assembly.store.reading() as connection:
        assert printed.find(connection, [one.id for one in sent]) == {}
        assert connection.scalar(select(func.count()).select_from(words)) == 2


def _swept(shop: Shop) -> int:
    """Delete what is old; return how many copies are left."""
    with shop.open() as assembly:
        vacuum(assembly.workspace, assembly.store, shop.now)
        with assembly.store.reading() as connection:
            return connection.scalar(select(func.count()).select_from(wording)) or 0


def test_a_worker_that_runs_gets_new_words_from_whoever_applies_them(shop: Shop) -> None:
    shop.enroll("greet", "ada", "ben")
    with shop.open() as worker:
        run_pass(worker.engine, shop.now + timedelta(days=1))
        shop.template("bye", "Goodbye.")
        shop.apply()
        run_pass(worker.engine, shop.now + timedelta(days=2))
    assert shop.texts() == ["Hello."] * 2 + ["Goodbye."] * 2


# --- generated edits --------------------------------------------------------------------------------------------


class Edits:
    """Files that are edited at random, and what each version's messages have to say."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.rng, self.round = shop, random.Random(f"edits {seed}"), 0
        self.sends = {"greet": ["hello", "bye"]}
        self.texts, self.data = {"hello": "Hello.", "bye": "Bye."}, set[str]()
        self.kept: dict[tuple[int, str], str] = {}
        self.learn()

    def edit(self) -> None:
        """Change something, and tidy away what is used no more."""
        self.round += 1
        names, journeys = ["hello", "bye", "tip", "news"], ["greet", "care"]
        for _ in range(self.rng.randint(1, 3)):
            match self.rng.choice(("wording", "wording", "data", "sends", "journey")):
                case "wording":
                    self.say(self.rng.choice(sorted(self.texts)), greets=False)
                case "data":
                    self.say(self.rng.choice(sorted(self.texts)), greets=True)
                case "sends":
                    name = self.rng.choice(sorted(self.sends))
                    self.sends[name] = self.rng.sample(names, self.rng.randint(1, 3))
                case "journey":
                    name = self.rng.choice(journeys)
                    if name in self.sends and len(self.sends) > 1:
                        del self.sends[name]
                    else:
                        self.sends[name] = self.rng.sample(names, 2)
        used = {name for sends in self.sends.values() for name in sends}
        for name in used - self.texts.keys():
            self.say(name, greets=False)
        for name in self.texts.keys() - used:
            if self.rng.random() < 0.6:
                del self.texts[name]
                self.data.discard(name)
        self.write(journeys)

    def say(self, name: str, *, greets: bool) -> None:
        self.texts[name] = f"{name} {self.round}" + (" for {{ data.who }}." if greets else ".")
        self.data = self.data | {name} if greets else self.data - {name}

    def write(self, journeys: list[str]) -> None:
        shutil.rmtree(self.shop.root / "templates")
        for name, text in self.texts.items():
            self.shop.template(name, text)
        for name in journeys:
            if name in self.sends:
                self.shop.journey(name, *self.sends[name], data=self.data)
            else:
                (self.shop.root / "journeys" / f"{name}.yaml").unlink(missing_ok=True)

    def apply(self) -> None:
        """Apply what `plan` shows, and remember what it said."""
        with self.shop.open() as assembly:
            files, everything = assembly.files(), self.rng.random() < 0.3
            shown = assembly.look(files, self.shop.now, everything=everything)
            done = assembly.apply(files, self.shop.now, shown.fingerprint, everything=everything)
            assert done.refused == ()
            with assembly.store.reading() as connection:
                for one in shown.words:
                    mine = (enrollment.c.version_id == one.version_id, enrollment.c.outcome == "inside")
                    assert one.inside == connection.scalar(select(func.count()).where(*mine))
        for one in shown.words:
            if one.fate == "replaced":
                self.kept[one.version_id, one.template] = self.texts[one.template]
        self.learn()

    def learn(self) -> None:
        """Take what the files say for what new versions keep."""
        with self.shop.open() as assembly:
            for version in assembly.engine.versions():
                for stage in version.plan.stages:
                    if stage.message and version.live:
                        which = version.version_id, stage.message.template
                        self.kept.setdefault(which, self.texts[stage.message.template])

    def live_on(self) -> None:
        """Let customers enter and a day go by; hold what was sent to what was said."""
        for name in self.sends:
            if self.rng.random() < 0.7:
                self.shop.enroll(name, f"{name}-{self.round}")
        self.shop.later(days=1)
        with self.shop.open() as assembly, assembly.store.reading() as connection:
            told = {message_key(row.id, row.queued_at): row for row in connection.execute(select(message))}
            assert {row.state for row in told.values()} <= {"sent"}, [row.detail for row in told.values()]
        for one in self.shop.sms.sent:
            row = told[one.key]
            said = self.kept[row.version_id, row.template].replace("{{ data.who }}", "you")
            assert one.text == said, (row.template, row.version_id)
        self.shop.sms.sent = []


@pytest.mark.parametrize("seed", range(6))
def test_what_plan_says_is_what_then_happens(shop: Shop, seed: int) -> None:
    edits = Edits(shop, seed)
    edits.live_on()
    for _ in range(4):
        edits.edit()
        edits.apply()
        edits.live_on()
    edits.live_on()
    edits.live_on()

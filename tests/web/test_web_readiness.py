"""/readyz says whether what comes in can be written down here: on a full disk, a read-only database and without one it cannot."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, event, func, select, text

from tests.web.serving import Site, copy_workspace, served
from treue.errors import StoreError
from treue.model.tables import receiving
from treue.store.store import Store, normal_url
from treue.web import readiness
from treue.web.readiness import Readiness


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each question be asked of the database anew."""
    monkeypatch.setattr(readiness, "FRESH", 0.0)


def ready(site: Site) -> int:
    return site.client.get("/readyz").status_code


def posted(site: Site) -> int:
    return site.post("/v1/events", {"customer": "ada", "event": "order.placed"}).status_code


def test_it_is_ready_where_it_can_write_and_leaves_nothing_behind(world_on_each_database: Site) -> None:
    site = world_on_each_database
    assert [ready(site) for _ in range(3)] == [200] * 3
    assert site.count(receiving) == 0


def test_it_is_not_ready_without_the_tables(world: Site) -> None:
    with world.assembly.store.transaction() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    answer = world.client.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_a_dead_worker_takes_no_web_out_of_the_balancer(world: Site) -> None:
    from datetime import timedelta

    world.now += timedelta(days=1)
    assert world.client.get("/metrics").text.count("treue_healthy 0.0") == 1
    assert ready(world) == 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB, where we may mount one."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(where)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield where
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill_the_log(store: Store) -> None:
    """Write until nothing can be written any more."""
    for _ in range(10_000):
        store.prove_writable()


def test_a_full_disk_is_told_and_that_it_has_room_again(
    tmp_path: Path, surroundings: None, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", f"sqlite:///{small_disk / 'treue.db'}")
    root = tmp_path / "workspace"
    root.mkdir()
    with served(copy_workspace(root)) as site:
        assert (ready(site), posted(site)) == (200, 202)
        filler = small_disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as rest:
            while rest.write(b"x" * 4096):
                pass
        with pytest.raises(StoreError, match="the disk is full"):
            fill_the_log(site.assembly.store)
        assert (ready(site), posted(site)) == (503, 503)
        filler.unlink()
        assert (ready(site), posted(site)) == (200, 202)


@dataclass
class Server:
    """A database of one test's own, and a connection to another one of its server that may change it."""

    name: str
    url: str
    admin: Connection

    def let(self, what: str) -> None:
        """Change the database, and end all connections to it."""
        self.admin.execute(text(f'ALTER DATABASE "{self.name}" {what}'))
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        self.admin.execute(text(end), {"name": self.name})


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Server]:
    """Make a database that nothing else uses: what is done to it is done to all who are connected to it."""
    name = f"treue_{uuid4().hex}"
    engine = create_engine(normal_url(postgres_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as admin:
        admin.execute(text(f'CREATE DATABASE "{name}"'))
        try:
            url = engine.url.set(database=name).difference_update_query(["options"])
            yield Server(name, url.render_as_string(hide_password=False), admin)
        finally:
            admin.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("gone", "back"),
    [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
    ],
)
def test_a_database_that_may_only_be_read_or_is_gone_is_not_ready(
    tmp_path: Path,
    surroundings: None,
    postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
    gone: str,
    back: str,
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", postgres.url)
    with served(copy_workspace(tmp_path)) as site:
        assert ready(site) == 200
        postgres.let(gone)
        assert (ready(site), posted(site)) == (503, 503)
        postgres.let(back)
        assert (ready(site), posted(site)) == (200, 202)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'treue.db'}", create=True)
    yield opened
    opened.close()


def test_who_asks_while_others_write_hears_of_the_last_answer_and_in_the_end_that_it_waits(
    store: Store,
) -> None:
    now = [0.0]
    asked = Readiness(store, lambda: now[0])
    assert asked.problem() == ""
    with store.transaction() as connection:
        connection.execute(select(func.count()).select_from(receiving))
        waiting = threading.Thread(target=asked.problem)
        waiting.start()
        while not asked._trying.locked():
            pass
        assert asked.problem() == "", "another one writes: the database takes something"
        now[0] += readiness.PATIENCE + 1
        assert "waiting for its turn" in asked.problem()
    waiting.join()
    assert asked.problem() == ""


def test_one_answer_holds_for_some_seconds_however_many_ask(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FRESH", 5.0)
    commits: list[object] = []
    event.listen(store.engine, "commit", commits.append)
    now = [0.0]
    asked = Readiness(store, lambda: now[0])
    for _ in range(100):
        assert asked.problem() == ""
        now[0] += 0.1
    assert len(commits) == 2

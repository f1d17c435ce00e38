"""`treue worker` beside `treue web` and other workers on one database."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from tests.cli.processes import Running, free_port, started, up
from treue.model.tables import message
from treue.store.store import Store

KEY = {"TREUE_API_KEY": "given"}
HEADERS = {"Authorization": "Bearer given"}
BUYERS = 20
SLOW = """\
import time
from pathlib import Path

from treue.channel import Accepted, Capabilities


class Slow:
    capabilities = Capabilities(kind="email", address="an e-mail address")

    def __init__(self, kind, path):
        self._path = Path(path)

    def send(self, batch, progress):
        return [self._one(message, progress) for message in batch]

    def _one(self, message, progress):
        assert progress.started(message.key)
        time.sleep(0.1)
        with self._path.open("a") as sent:
            sent.write(message.key + "\\n")
        progress.settled(message.key, Accepted(message.key))
        return Accepted(message.key)

    def close(self):
        pass
"""
"""An adapter of the workspace's own that takes a tenth of a second for each message."""


def _buy(web: Running) -> None:
    """Let people place their first orders, which `welcome` answers with a mail."""
    people = [
        {"id": f"c{n}", "email": f"c{n}@example.com", "consent": {"email": {"source": "till"}}}
        for n in range(BUYERS)
    ]
    orders = [{"id": f"o{n}", "customer": f"c{n}", "event": "order.placed"} for n in range(BUYERS)]
    assert web.client.post("/v1/customers", json=people, headers=HEADERS).status_code == 202
    assert web.client.post("/v1/events", json=orders, headers=HEADERS).status_code == 202


def _only_welcome(files: Path) -> None:
    """Leave one journey, in which everybody gets a mail."""
    for path in (files / "journeys").iterdir():
        if path.stem != "welcome":
            path.unlink()
    welcome = files / "journeys" / "welcome.yaml"
    text = welcome.read_text(encoding="utf-8")
    assert "holdout: 5%\n" in text
    welcome.write_text(text.replace("holdout: 5%\n", ""), encoding="utf-8")


def _works(worker: Running) -> bool:
    """Wait until a worker says that it runs: what happened before the journeys went live starts none."""
    assert worker.process.stdout is not None
    return worker.process.stdout.readline() == "Passes and delivery run; Ctrl-C ends them.\n"


def _states(url: str) -> dict[str, int]:
    """Return how many messages there are by state."""
    store = Store.open(url)
    try:
        with store.reading() as connection:
            query = select(message.c.state, func.count()).group_by(message.c.state)
            return {str(state): count for state, count in connection.execute(query)}
    finally:
        store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, files: Path) -> str:
    """The address of one database for all processes: a SQLite file that is not there yet, or PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{files / 'treue.db'}"


def test_an_event_that_web_took_in_leads_to_one_mail_whichever_worker_sends_it(
    files: Path, database: str
) -> None:
    _only_welcome(files)
    with ExitStack() as stack:
        there = {**KEY, "TREUE_DATABASE": database}
        workers = [stack.enter_context(started(files, "worker", port=False, **there)) for _ in range(2)]
        web = stack.enter_context(up(files, "web", **there))
        assert all(map(_works, workers))
        _buy(web)
        web.wait_for(lambda: len(_mails(web)) >= BUYERS)
        ends = [worker.end(signal.SIGTERM) for worker in workers]
        assert [code for code, _, _ in ends] == [0, 0], ends
        assert all("Traceback" not in errors and errors.endswith("Stopped.\n") for _, _, errors in ends)
        assert Counter(_mails(web)) == {f"c{n}@example.com": 1 for n in range(BUYERS)}
    assert _states(database) == {"sent": BUYERS}


def _mails(web: Running) -> list[str]:
    found = web.operator.get("/inbox/api/messages", params={"limit": 500}).json()["messages"]
    return [one["recipient"] for one in found]


def test_a_worker_shows_its_own_numbers_at_a_port_to_whoever_has_the_key(files: Path) -> None:
    _only_welcome(files)
    port = free_port()
    where = f"http://127.0.0.1:{port}"
    with (
        started(files, "worker", "--metrics", str(port), port=False, **KEY) as worker,
        up(files, "web", **KEY) as web,
    ):
        assert _works(worker)
        _buy(web)
        web.wait_for(lambda: len(_mails(web)) >= BUYERS)

        def shown() -> dict[str, float]:
            answer = httpx.get(f"{where}/metrics", headers=HEADERS)
            lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
            return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

        web.wait_for(lambda: shown().get('treue_message_delay_seconds_count{channel="email"}') == BUYERS)
        assert shown()['treue_entries_total{journey="welcome"}'] == BUYERS
        assert httpx.get(f"{where}/metrics").status_code == 401
        assert httpx.get(f"{where}/", headers=HEADERS).status_code == 404
        with started(files, "worker", "--metrics", str(port), port=False, **KEY) as other:
            _, errors = other.process.communicate(timeout=60)
        assert other.process.returncode == 2
        assert f"Port {port} of 127.0.0.1 cannot be used" in errors
        code, _, errors = worker.end(signal.SIGTERM)
        assert (code, errors) == (0, "Stopped.\n")


def test_where_a_worker_shows_its_numbers_is_a_port(files: Path) -> None:
    with started(files, "worker", "--metrics", "localhost", port=False) as worker:
        _, errors = worker.process.communicate(timeout=60)
    assert worker.process.returncode == 2
    assert "write it like 9464 or 0.0.0.0:9464" in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_messages_in_hand_be_sent_and_recorded(files: Path, number: int) -> None:
    _only_welcome(files)
    (files / "channels").mkdir()
    (files / "channels" / "slow.py").write_text(SLOW)
    settings = (files / "treue.yaml").read_text()
    sent = files / "sent.txt"
    slow = settings.replace('{adapter: smtp, url: "${SMTP_URL:-}"}', f'{{adapter: slow, path: "{sent}"}}')
    (files / "treue.yaml").write_text(slow)
    with started(files, "worker", port=False, **KEY) as worker, up(files, "web", **KEY) as web:
        assert _works(worker)
        _buy(web)
        worker.wait_for(sent.exists)
        code, _, errors = worker.end(number)
    assert code == 0, errors
    assert len(sent.read_text().splitlines()) == BUYERS
    assert _states(f"sqlite:///{files / 'treue.db'}") == {"sent": BUYERS}


def test_passes_that_break_end_a_worker_with_a_sentence(files: Path) -> None:
    with started(files, "worker", port=False, runtime="Broken") as worker:
        _, errors = worker.process.communicate(timeout=60)
    assert worker.process.returncode == 2
    assert "the passes are broken" in errors
    assert "Traceback" not in errors

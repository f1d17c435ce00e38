"""A workspace with customers who have lived through twelve days, and the command as people call it."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from calling import BY_HAND, START, Done, Run

from treue.cli.app import execute


@pytest.fixture
def treue(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; the workspace, if any, comes first."""
    for name in ("TREUE_DATABASE", "SMTP_URL", "TREUE_URL", "TREUE_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def run(workspace: Path | None, *arguments: object) -> Done:
        capsys.readouterr()
        before = ["--workspace", str(workspace)] if workspace is not None else []
        code = execute([*before, *map(str, arguments)])
        shown = capsys.readouterr()
        return Done(code, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def reference() -> Path:
    """The reference workspace, to be read only."""
    from treue.workspace.files import reference_workspace

    return reference_workspace()


@pytest.fixture
def files(tmp_path: Path, reference: Path) -> Path:
    """A copy of the reference workspace without a database."""
    root = tmp_path / "shop"
    root.mkdir()
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(reference / name, root / name)
    shutil.copy(reference / "treue.yaml", root)
    return root


@pytest.fixture(scope="session")
def _lived(tmp_path_factory: pytest.TempPathFactory, reference: Path) -> Path:
    root = tmp_path_factory.mktemp("lived")
    for name in ("journeys", "segments", "templates"):
        shutil.copytree(reference / name, root / name)
    settings = (reference / "treue.yaml").read_text(encoding="utf-8")
    settings = settings.replace('{adapter: smtp, url: "${SMTP_URL:-}"}', "{adapter: file}")
    settings = settings.replace("{adapter: inbox}", "{adapter: file}")
    (root / "treue.yaml").write_text(settings, encoding="utf-8")
    (root / "journeys" / "by-hand.yaml").write_text(BY_HAND, encoding="utf-8")
    _live(root)
    return root


def _live(root: Path) -> None:
    """Twenty customers order; every tenth gave no consent; c5 and c15 come back; c3 withdraws on the sixth day."""
    from treue.engine.assembly import assembled
    from treue.engine.engine import run_pass
    from treue.store import consents, customers, events
    from treue.store.inputs import ConsentInput, CustomerInput, EventInput
    from treue.workspace.loading import load

    people = [
        CustomerInput(
            f"c{n}", email=f"c{n}@example.com", locale="de", created_at=START,
            attributes={"first_name": "Jörg", "country": "DE"},
        )
        for n in range(20)
    ]  # fmt: skip

    def order(n: int, at: datetime, total: float) -> EventInput:
        told = {"order_id": f"{n}/{at.day}", "total": total, "currency": "EUR", "quantity": 2}
        return EventInput(f"c{n}", "order.placed", at, told)

    with assembled(load(root)) as assembly:
        assembly.publish(START)
        for day in range(12):
            now = START + timedelta(days=day, minutes=2)
            with assembly.store.transaction() as connection:
                if day == 0:
                    customers.upsert(connection, people, START)
                    agreed = [ConsentInput(f"c{n}", "email") for n in range(20) if n % 10]
                    consents.give(connection, agreed, START)
                    events.record(connection, [order(n, now, 40.5) for n in range(20)], now)
                if day == 4:
                    events.record(connection, [order(n, now, 140.5) for n in (5, 15)], now)
                if day == 6:
                    consents.withdraw(connection, [ConsentInput("c3", "email")], now)
            run_pass(assembly.engine, now)


@pytest.fixture
def lived(_lived: Path, tmp_path: Path) -> Path:
    """A copy of a workspace whose customers have lived through twelve days of March 2026."""
    root = tmp_path / "lived"
    shutil.copytree(_lived, root)
    return root

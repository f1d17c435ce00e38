"""The verb `demo`."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress

    from treue.cli.authoring.demo.life import Lived
    from treue.cli.authoring.demo.purchases import History
    from treue.cli.authoring.demo.shop import Shop
    from treue.composition.assembly import Assembly
    from treue.engine.passes.chronology import Passed
    from treue.engine.passes.engine import Engine
    from treue.engine.passes.runtimes import Runtime
    from treue.engine.what_if.replay import Tick
    from treue.store.journey_counts import JourneyCounts


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("demo")(demo)


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Run the main job on real customers, start to end, in a temporary workspace."""
    from treue.cli.authoring.demo.purchases import load_history
    from treue.cli.authoring.demo.shop import open_shop
    from treue.vocabulary.workspace import load

    began = time.monotonic()
    history = load_history()
    shop = open_shop(history.purchases)
    root = _workspace()
    print(_opening(history, shop, root), file=sys.stderr)
    with _assembled(load(root)) as (assembly, runtime), _progress() as bar:
        lived = _play(assembly, runtime, shop, bar)
        with assembly.store.reading() as connection:
            from treue.store.journey_counts import journey_counts

            counts = journey_counts(connection)
            somebody = _somebody(connection)
    seconds = time.monotonic() - began
    if as_json:
        typer.echo(
            json.dumps(_document(history, shop, lived, counts, seconds, root), ensure_ascii=False, indent=2)
        )
    else:
        _show(lived, counts, seconds, root, somebody)
    if not all(journey.adds_up for journey in counts.values()):
        raise typer.Exit(1)


def _untold(what: str, n: int) -> None:
    """Tell nobody: the progress bar says enough."""


def _workspace() -> Path:
    """Copy the reference workspace into a folder of its own."""
    from treue.workspace.files import SETTINGS_FILE, reference_workspace

    source, root = reference_workspace(), Path(tempfile.mkdtemp(prefix="treue-demo-"))
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(source / folder, root / folder)
    shutil.copy(source / SETTINGS_FILE, root)
    return root


@contextmanager
def _assembled(workspace: Any) -> Iterator[tuple[Assembly, Runtime]]:
    """Assemble with the demo's own database and inbox, whatever the environment says."""
    import os

    from treue.composition.assembly import assembled
    from treue.engine.passes.runtimes import load_runtime
    from treue.workspace.files import state_folder

    for name in ("TREUE_DATABASE", "TREUE_URL", "SMTP_URL"):
        os.environ.pop(name, None)
    runtime = load_runtime("prefect", state_folder(workspace.root))
    try:
        with assembled(workspace) as assembly:
            yield assembly, runtime
    finally:
        runtime.close()


def _play(assembly: Assembly, runtime: Runtime, shop: Shop, bar: Progress) -> Lived:
    """Load the past, publish the journeys on the first day, live through the rest."""
    from treue.cli.authoring.demo import life
    from treue.engine.passes.runtimes import InProcess

    assembly.store.forgo_syncing()  # a power cut would end the demo anyway
    # Prefect takes its seconds to start; the past is loaded meanwhile.
    warming = threading.Thread(target=runtime.warm_up, args=(_untold,))
    warming.start()
    assembly.publish(life.START)
    past = sum(person.since < life.START for person in shop.people)
    loading = bar.add_task("Loading the past", total=past)
    life.load_past(assembly, shop.people, lambda n: bar.advance(loading, n))
    warming.join()
    living = bar.add_task("1998-01-01, through Prefect", total=life.DAYS * len(life.PASSES))
    simple = InProcess()

    def run(engine: Engine, tick: Tick) -> Passed:
        by: Runtime | InProcess = runtime if life.day_of(tick) in (0, life.DAYS - 1) else simple
        words = "Prefect" if by is runtime else "the in-process runtime"
        bar.update(living, description=f"{tick.now.date()}, through {words}")
        return by.run_pass(engine, tick.now, sense=tick.sense)

    return life.live(assembly, shop.people, run, lambda _: bar.advance(living))


@contextmanager
def _progress() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield bar


def _opening(history: History, shop: Shop, root: Path) -> str:
    return (
        f"Purchases: {history.origin}: {len(history.purchases):,} by {len(shop.people):,} customers.\n"
        f"Names, addresses (example.com), zones and consents are made from a seed; amounts are taken as euros.\n"
        f"So that there are newcomers, the purchases of {shop.moved:,} customers are moved by 52 weeks.\n"
        f"The data has no carts, so they are made up from the purchases: some are reported abandoned before a purchase,\n"
        f"with its amount; others after a customer's last one, with that one's amount, and are never ordered.\n"
        f"The workspace is {root}. Its clock starts at 1998-01-01; mail goes by SMTP to the built-in inbox.\n"
        f"The first and the last day run through Prefect, the days between through the in-process runtime."
    )


def _document(
    history: History, shop: Shop, lived: Lived, counts: dict[str, JourneyCounts], seconds: float, root: Path
) -> dict[str, Any]:
    from treue.cli.authoring.demo.carts import Fate

    return {
        "format": 1,
        "data": history.origin,
        "real": history.real,
        "customers": len(shop.people),
        "newcomers": lived.newcomers,
        "orders": lived.orders,
        "carts_made_up": {fate.value: lived.carts[fate] for fate in Fate},
        "passes": lived.passes,
        "seconds": round(seconds, 1),
        "workspace": str(root),
        "journeys": {name: journey.as_json() for name, journey in counts.items()},
    }


def _somebody(connection: Any) -> str:
    """Return a customer worth asking about: the one who was sent the most."""
    from sqlalchemy import func, select

    from treue.model.tables import customer, message

    most = func.count(message.c.sent_at).desc()
    query = (
        select(customer.c.key).join(message, message.c.customer_id == customer.c.id).group_by(customer.c.key)
    )
    return connection.scalar(query.order_by(most, customer.c.key).limit(1)) or ""


def _command() -> str:
    """Return how this very command can be called again from here."""
    called = Path(sys.argv[0])
    if shutil.which(called.name) == str(called):
        return called.name
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)


def _show(lived: Lived, counts: dict[str, JourneyCounts], seconds: float, root: Path, somebody: str) -> None:
    from treue.cli.authoring.demo.summary import summary

    typer.echo(summary(lived, counts))
    sent = sum(n for journey in counts.values() for n in journey.sent.values())
    typer.echo(f"{sent:,} messages in {seconds:.0f} s. To look at them:\n")
    treue = f"  {_command()} --workspace {root}"
    typer.echo(f"{treue} up        # then open the link it prints, and the inbox from there")
    typer.echo(f"{treue} status    # one screen for operators")
    typer.echo(f"{treue} why {somebody}")

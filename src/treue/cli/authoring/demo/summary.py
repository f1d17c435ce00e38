"""The demo's last screen: each journey's numbers, which add up."""

from __future__ import annotations

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from treue.cli.authoring.demo.carts import Fate
from treue.cli.authoring.demo.life import Lived
from treue.model.states import CHANNELS, Reason
from treue.store.journey_counts import JourneyCounts


def summary(lived: Lived, counts: dict[str, JourneyCounts]) -> str:
    """Return the numbers as tables of text."""
    out = StringIO()
    console = Console(file=out, width=110, no_color=True)
    console.print()
    console.print(
        f"{lived.orders:,} orders and {lived.newcomers:,} newcomers in 90 days, {lived.passes} passes."
    )
    console.print(_carts(lived))
    console.print()
    console.print(_people(counts))
    console.print(_messages(counts))
    return out.getvalue()


def _carts(lived: Lived) -> str:
    return (
        f"{lived.carts.total():,} abandoned carts, made up from the purchases: {lived.carts[Fate.SOON]:,} ordered "
        f"within four hours,\n{lived.carts[Fate.LATER]:,} later, within six days, and {lived.carts[Fate.NEVER]:,} never."
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("journey", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _people(counts: dict[str, JourneyCounts]) -> Table:
    columns = ("entered", "= inside", "+ finished", "+ converted", "+ exited", "+ held out", "adds up")
    table = _table("Customers", *columns)
    for name, journey in counts.items():
        numbers = (journey.entered, journey.inside, journey.finished, journey.converted)
        exited = sum(journey.exited.values())
        cells = [f"{n:,}" for n in (*numbers, exited, journey.held_out)]
        table.add_row(name, *cells, "yes" if journey.adds_up else "NO")
        for reason, n in sorted(journey.exited.items()):
            table.add_row(f"  by {reason}", *[""] * 4, f"{n:,}", "", "")
    return table


def _messages(counts: dict[str, JourneyCounts]) -> Table:
    reasons = sorted({reason for journey in counts.values() for reason in journey.refused})
    table = _table(
        "Messages sent, and why others were not", *CHANNELS, *(_short(reason) for reason in reasons)
    )
    for name, journey in counts.items():
        sent = [f"{journey.sent.get(channel, 0):,}" for channel in CHANNELS]
        table.add_row(name, *sent, *(f"{journey.refused.get(reason, 0):,}" for reason in reasons))
    return table


def _short(reason: str) -> str:
    return Reason(reason).value.replace("_", " ")

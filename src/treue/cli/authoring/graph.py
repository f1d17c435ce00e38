"""`treue graph`: a journey as a flowchart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from treue.cli import opening, output
from treue.clock import utc_now

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from treue.plan.flowchart import Counts
    from treue.workspace.workspace import Workspace


def graph(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The journey.")],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Mermaid text instead of SVG.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to this file (default: print).")
    ] = None,
) -> None:
    """Draw a journey as SVG or Mermaid, with the customers on its steps and arrows if there are any."""
    from treue.cli.authoring.compile import plan_of
    from treue.plan.flowchart import flowchart
    from treue.plan.flowchart import mermaid as as_mermaid
    from treue.plan.svg import svg

    workspace = opening.workspace(context)
    plan = plan_of(workspace, opening.known(name, workspace.journeys, "journey"))
    chart = flowchart(plan, _counts(workspace, name))
    text = as_mermaid(chart) if mermaid else svg(chart)
    if out is None:
        output.line(text.rstrip("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        output.tell(f"Wrote {out}.")


def _counts(workspace: Workspace, name: str) -> Counts | None:
    """Return how many stand where, or None where no database knows the journey."""
    from treue.insight.traffic import occupancy, traffic
    from treue.plan.flowchart import Counts
    from treue.store.journey_counts import journey_counts

    with opening.store_if_there(workspace) as store:
        if store is None:
            return None
        with store.reading() as connection:
            found = journey_counts(connection, [name]).get(name)
            if found is None:
                return None
            inside, gone = occupancy(connection, name), traffic(connection, name)
            shares = _shares(connection, workspace.settings.workspace, name)
    return Counts(
        found.entered, inside, found.finished, found.converted, found.exited, found.held_out, gone, shares
    )


def _shares(connection: Connection, salt: str, name: str) -> dict[str, tuple[int, ...]]:
    """Return what the live version's learning splits have learnt."""
    from treue.cohorts.player import splitter
    from treue.engine.versions.versions import Versions

    live = [version for version in Versions().load(connection) if version.live and version.name == name]
    return {
        stage.id: splitter(stage).shares(connection, version, stage, salt, utc_now())
        for version in live
        for stage in version.plan.stages
        if stage.learns
    }


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(graph)

"""`treue test`: the journeys' own tests on the real engine under a virtual clock, and what they do not reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.garbage import without_garbage_collection
from treue.cli.opening import Json
from treue.clock import utc_now
from treue.errors import UsageError
from treue.vocabulary.workspace import load
from treue.workspace.workspace import Workspace

if TYPE_CHECKING:
    from treue.testing.coverage import Coverage
    from treue.testing.scenarios import Report, Result


def run_tests(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Only the tests of these journeys.")
    ] = None,
    create: Annotated[
        str,
        typer.Option("--create", metavar="CUSTOMER", help="Write a test from what happened to a customer."),
    ] = "",
    journey: Annotated[
        str, typer.Option("--journey", metavar="NAME", help="With --create: in this journey.")
    ] = "",
    json: Json = False,
) -> None:
    """Run the journeys' tests (journeys/NAME.test.yaml) under a virtual clock.

    With --create, first writes one more, of what really happened to a customer; it names nobody. Where a test
    fails, shows what was expected and what happened as two timelines. Says which branches no test reaches.
    Ends with 1 where a test fails.
    """
    root = opening.root(context)
    workspace = load(root, tests=True).require()
    if create:
        names = [_create(workspace, create, journey)]
        workspace = load(root, tests=True).require()
    elif journey:
        raise UsageError("`--journey` goes with `--create`; name the journeys to test without it.")
    wanted = [opening.known(name, workspace.journeys, "journey") for name in names or workspace.journeys]
    _run(workspace, wanted, json=json)


def _create(workspace: Workspace, customer: str, journey: str) -> str:
    """Write a test of what happened to a customer beside its journey; return the journey's name."""
    from treue.testing.creation import create

    with opening.store(workspace) as store, store.reading() as connection:
        made = create(workspace, connection, customer, journey, utc_now())
    path = workspace.root / "journeys" / f"{made.journey}.test.yaml"
    before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.exists() else ""
    path.write_text(before + made.text, encoding="utf-8")
    output.tell(f"Wrote “{made.name}” to {path}.")
    for difference in made.differences:
        output.tell(f"The replay differs from what happened: {difference}")
    return made.journey


def _run(workspace: Workspace, names: list[str], *, json: bool) -> None:
    from treue.testing import scenarios

    with without_garbage_collection(), opening.interrupt_on_signals():
        report = scenarios.run(workspace, names, None if json else _Telling())
    if json:
        output.document(
            tests=[_as_json(result) for result in report.results],
            coverage={one.journey: _coverage_json(one) for one in report.coverage},
        )
    else:
        _show_end(report)
    raise typer.Exit(int(not report.passed))


class _Telling:
    """Prints each result as it comes, under its journey."""

    def __init__(self) -> None:
        self._journey = ""

    def __call__(self, result: Result) -> None:
        """Print one result."""
        if result.journey != self._journey:
            self._journey = result.journey
            output.line(output.styled(result.journey, "strong"))
        mark = output.styled("✓", "good") if result.passed else output.styled("✗", "bad")
        place = result.scenario.place
        where = "" if result.passed else output.styled(f"  {place.file}:{place.line}", "dim")
        output.line(f"  {mark} {result.scenario.name}{where}")
        for line in result.diff:
            output.line(f"      {_coloured(line)}".rstrip())


_STYLES = {"-": "bad", "+": "good", "!": "bad", "·": "dim"}


def _coloured(line: str) -> str:
    return output.styled(line, _STYLES[line[0]]) if line[:1] in _STYLES else line


def _show_end(report: Report) -> None:
    failed = sum(not result.passed for result in report.results)
    total = output.count(len(report.results), "test")
    output.line()
    output.line(f"{total}, {failed} failed." if failed else f"{total}, all passed.")
    output.line()
    output.line(output.styled("Branches that tests reach", "strong"))
    width = max((len(one.journey) for one in report.coverage), default=0)
    for one in report.coverage:
        output.line(f"  {one.journey:<{width}}  {_percent(one):>4}")
        for part in one.missed:
            where = output.styled(f"{part.place.file}:{part.place.line}", "dim")
            output.line(f"  {'':<{width}}        {where}  {part.says}")


def _percent(one: Coverage) -> str:
    """Return the share in whole percent, 100 only where nothing is missed."""
    return "100%" if not one.missed else f"{min(int(one.share * 100), 99)}%"


def _as_json(result: Result) -> dict[str, Any]:
    place = result.scenario.place
    return {
        "name": result.scenario.name,
        "passed": result.passed,
        "diff": None if result.passed else "\n".join(result.diff),
        "journey": result.journey,
        "file": place.file,
        "line": place.line,
    }


def _coverage_json(one: Coverage) -> dict[str, Any]:
    return {
        "share": round(one.share, 4),
        "branches": len(one.parts),
        "missed": [
            {"file": part.place.file, "line": part.place.line, "step": part.step or None, "branch": part.says}
            for part in one.missed
        ],
    }


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("test")(run_tests)

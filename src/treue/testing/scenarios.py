"""The scenario runner behind `treue test`: every test of some journeys, played, judged and told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from treue.language.journey import Journey
from treue.language.scenario import Scenario
from treue.testing.coverage import Coverage, coverage
from treue.testing.exploration import explore
from treue.testing.happenings import Decided
from treue.testing.playback import play
from treue.testing.reasons import Reasons
from treue.testing.report import timelines
from treue.testing.verdict import judge
from treue.testing.world import World
from treue.workspace.scenarios import under_test
from treue.workspace.workspace import Workspace


@dataclass(frozen=True)
class Result:
    """What became of one test; `diff` is what a person reads where it failed."""

    journey: str
    scenario: Scenario
    diff: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as the test expects."""
        return not self.diff


@dataclass(frozen=True)
class Report:
    """All results, and what the tests reach of each journey."""

    results: tuple[Result, ...]
    coverage: tuple[Coverage, ...]

    @property
    def passed(self) -> bool:
        """Whether all tests passed."""
        return all(result.passed for result in self.results)


def run(workspace: Workspace, names: Sequence[str], tell: Callable[[Result], None] | None = None) -> Report:
    """Run the tests of the named journeys; `tell` hears of each as it ends."""
    results, covered = [], []
    with world(workspace) as place:
        for name in names:
            decided: list[Decided] = []
            for scenario in workspace.tests.get(name, ()):
                result = _run(place, name, scenario, decided)
                results.append(result)
                if tell:
                    tell(result)
            journey = workspace.journeys[name]
            covered.append(coverage(journey, place.plan(journey), decided))
    return Report(tuple(results), tuple(covered))


@contextmanager
def world(workspace: Workspace) -> Iterator[World]:
    """Give a world to play tests of a workspace in; nothing is left of it at the end."""
    with TemporaryDirectory(prefix="treue-test-") as folder:
        made = World(workspace, Path(folder))
        try:
            yield made
        finally:
            made.close()


def _run(place: World, name: str, scenario: Scenario, decided: list[Decided]) -> Result:
    journeys: list[Journey] = under_test(name, scenario, place.workspace.journeys)
    if scenario.timeline is None:
        played, tried = explore(place, journeys, scenario)
        decided += [one for each in tried for one in each.happened.decided]
    else:
        played = play(place, journeys, scenario)
        decided += played.happened.decided
    verdict = judge(played, name)
    if verdict.passed:
        return Result(name, scenario, ())
    return Result(name, scenario, tuple(timelines(played, verdict, Reasons(place, journeys, played))))

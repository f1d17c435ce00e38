"""What a stage does to a cohort: each word's SQL face has a player for each kind of its stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Executable

from treue.cohorts.cohort import clear, move, skip_passed, skip_unless, take
from treue.cohorts.scene import Deed, Scene, Statement, Version
from treue.language.steps import Stage
from treue.model.faces import face

S = TypeVar("S", bound=Stage)

Script = Callable[[Scene, S], Iterable[Statement | Deed]]
"""Makes the statements of one batch of a stage, possibly one by one as they are run."""


class Player(ABC, Generic[S]):
    """Plays the stages of one kind."""

    def scripts(self) -> tuple[Script[S], ...]:
        """Return what is played, one after the other."""
        return (self.play,)

    def is_armed(self, script: Script[S]) -> bool | None:
        """Return whether a script is for those who know when their wait ends; None where there is no wait."""
        return None

    def is_constant(self, stage: S) -> bool:
        """Whether the statements are the same at every pass."""
        return True

    def goes_by_the_hour(self, stage: S) -> bool:
        """Whether those of one hour are dealt with alike, by what had become of all others before it."""
        return False

    def play(self, scene: Scene, stage: S) -> Iterable[Statement | Deed]:
        """Return all statements of one batch, in order."""
        return [
            clear(),
            take(scene, stage),
            *skip_unless(scene, stage),
            *skip_passed(scene, stage),
            *self.act(scene, stage),
            *self.go_on(scene, stage),
        ]

    @abstractmethod
    def act(self, scene: Scene, stage: S) -> Sequence[Statement | Deed]:
        """Return what the stage does with its cohort, after it is taken and before it goes on."""

    def go_on(self, scene: Scene, stage: S) -> list[Statement]:
        """Return what moves the cohort to where the stage leads."""
        return move(scene, stage.to, None, "on")


class Watcher(Player[S]):
    """Plays stages at which customers wait for a condition; see `Stage.waits_for`."""

    @abstractmethod
    def wake(self, version: Version, stage: S, dialect: str) -> Executable:
        """Return the UPDATE that makes waiting customers due at the time of their event, of those bound to `ids`."""

    @abstractmethod
    def rouse(self, version: Version, stage: S) -> Executable:
        """Return the UPDATE that makes waiting customers due at the time of what has touched them, of the callers."""

    @abstractmethod
    def must_be_looked_at(self, stage: S) -> bool:
        """Whether time may make the condition true at an instant that it cannot tell before."""

    @abstractmethod
    def notice(self, connection: Connection, version: Version, stage: S, now: Any, zone: str) -> None:
        """Have those go on now for whom the condition has come to hold."""


class Follower(Player[S]):
    """Plays stages at which customers wait until a date of theirs; see `Stage.follows`."""

    @abstractmethod
    def follow(self, connection: Connection, version: Version, stage: S, zone: str) -> Sequence[Executable]:
        """Return what has the callers whom a change has touched wait until where their date lies now."""


class Splitter(Player[S]):
    """Plays stages that divide customers by a draw; see `Stage.draws`."""

    @abstractmethod
    def weights(self, stage: S) -> Sequence[int]:
        """Return the ways' weights as long as nothing has been learnt."""

    @abstractmethod
    def shares(
        self, connection: Connection, version: Version, stage: S, salt: str, now: datetime
    ) -> tuple[int, ...]:
        """Return the ways' shares in the hour of `now`."""


def player(stage: Stage) -> Player[Any]:
    """Return the player of a stage."""
    players: Mapping[str, Player[Any]] = face(type(stage), "sql").PLAYERS
    return players[stage.kind]


def watcher(stage: Stage) -> Watcher[Any]:
    """Return the player of a stage at which customers wait for a condition."""
    found = player(stage)
    assert isinstance(found, Watcher), stage.kind
    return found


def follower(stage: Stage) -> Follower[Any]:
    """Return the player of a stage at which customers wait until a date of theirs."""
    found = player(stage)
    assert isinstance(found, Follower), stage.kind
    return found


def splitter(stage: Stage) -> Splitter[Any]:
    """Return the player of a stage that divides customers by a draw."""
    found = player(stage)
    assert isinstance(found, Splitter), stage.kind
    return found

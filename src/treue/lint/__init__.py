"""What is allowed and yet most likely not meant: small rules over the loaded files and, where there are any, the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Problem
from treue.lint.audiences import OverlappingAudiences, SellsTooEarly
from treue.lint.leading import EmptyForSome, LeadsNowhere, NoAddress, SameWords, WithoutWords
from treue.lint.leaving import GoalLetsNobodyOut, NobodyLeaves
from treue.lint.lettering import LongSubject, NoPostalAddress, NoPreheader, NothingToRead, NoWayOut
from treue.lint.picturing import WithoutDescription, WithoutWidth
from treue.lint.rule import Files, Rule
from treue.lint.showing import NotShown, TooLarge
from treue.lint.steps import EmptyBranch, Unreachable
from treue.lint.texting import SaysNowhereHowToStop
from treue.lint.times import SurprisingCron, SurprisingDuration
from treue.lint.variants import MissingForCustomers, MissingLocale

if TYPE_CHECKING:
    from treue.lint.data import Data

RULES: tuple[Rule, ...] = (
    Unreachable(),
    EmptyBranch(),
    GoalLetsNobodyOut(),
    NobodyLeaves(),
    OverlappingAudiences(),
    SellsTooEarly(),
    MissingLocale(),
    MissingForCustomers(),
    SurprisingCron(),
    SurprisingDuration(),
    NotShown(),
    TooLarge(),
    LeadsNowhere(),
    NoAddress(),
    WithoutWords(),
    SameWords(),
    EmptyForSome(),
    WithoutDescription(),
    WithoutWidth(),
    NoWayOut(),
    NoPostalAddress(),
    LongSubject(),
    NoPreheader(),
    NothingToRead(),
    SaysNowhereHowToStop(),
)
"""Every rule, in the order of their codes."""


def findings(files: Files, data: Data | None) -> Iterator[Problem]:
    """Yield what the rules find; those that count customers find nothing without data."""
    for rule in RULES:
        yield from rule.look(files, data)


__all__ = ["RULES", "Files", "findings"]

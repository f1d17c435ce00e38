"""What is allowed and yet most likely not meant: small rules over the loaded files and, where there are any, the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from treue.language.problems import Problem
from treue.lint.audiences import OverlappingAudiences, SellsTooEarly
from treue.lint.client_support import NotShown, TooLarge
from treue.lint.exits import GoalLetsNobodyOut, MetAtTheDoor, NobodyLeaves
from treue.lint.links import EmptyForSome, LeadsNowhere, NoAddress, SameWords, WithoutWords
from treue.lint.mails import LongSubject, NoPostalAddress, NoPreheader, NothingToRead, NoWayOut
from treue.lint.messages import AnothersMessage
from treue.lint.pictures import WithoutDescription, WithoutWidth
from treue.lint.records import DateMissing, StoredOtherwise
from treue.lint.rule import LintInput, Rule
from treue.lint.sms import SaysNowhereHowToStop
from treue.lint.steps import EmptyBranch, Unreachable
from treue.lint.times import ShorterThanQuietHours, SurprisingCron, SurprisingDuration
from treue.lint.variants import MissingForCustomers, MissingLocale
from treue.lint.watching import AskedOfEverybody

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
    MetAtTheDoor(),
    StoredOtherwise(),
    ShorterThanQuietHours(),
    DateMissing(),
    AskedOfEverybody(),
    AnothersMessage(),
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


def findings(files: LintInput, data: Data | None) -> Iterator[Problem]:
    """Yield what the rules find; those that count customers find nothing without data."""
    for rule in RULES:
        yield from rule.look(files, data)


__all__ = ["RULES", "LintInput", "findings"]

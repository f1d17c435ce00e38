"""What a split with `learn` has learnt: which of its ways works, and what share each gets of those still to come.

Thompson sampling (W. R. Thompson, Biometrika 25, 1933): of the `n` who went a way, `k` did what is hoped for, so its
rate is taken to be Beta(1 + k, 1 + n - k), and a way's share is the probability that its rate is the highest. A fifth
of the traffic is divided evenly whatever has been learnt, so that no way is ever given up. Until somebody has done
what is hoped for, the declared weights stand for the probabilities. Nobody changes ways when shares move.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, and_, case, distinct, func, select

from treue.cohorts.scene import Version
from treue.language.steps import Stage
from treue.model.states import Outcome
from treue.model.tables import draw, enrollment, message
from treue.vocabulary.steps.split.word import Split

WHOLE = 10_000
"""What the shares add up to."""

EVEN = 2_000
"""The part of it that is divided evenly."""

SAMPLES = 4_000
"""How many times the rates are drawn; a share's standard error is at most 0.8 %."""


@dataclass(frozen=True)
class Tried:
    """One way: how many went it, and how many of them did what is hoped for."""

    n: int = 0
    k: int = 0


def shares(
    connection: Connection, version: Version, stage: Split, salt: str, by: datetime
) -> tuple[int, ...]:
    """Return the shares of a learning split's ways, parts of `WHOLE`, in their order, from what had happened before `by`."""
    found = tried(connection, version, stage, by)
    weights = tuple(way.weight for way in stage.ways)
    return learnt(found, weights, f"learn\x1f{salt}\x1f{version.name}\x1f{version.first_name(stage)}")


def declared(stage: Split) -> tuple[int, ...]:
    """Return the shares of a split's ways as long as nothing has been learnt."""
    return learnt((Tried(),) * len(stage.ways), tuple(way.weight for way in stage.ways), "")


@lru_cache(maxsize=256)
def learnt(found: tuple[Tried, ...], weights: tuple[int, ...], seed: str) -> tuple[int, ...]:
    """Return each way's share for what has been tried; the same for the same counts, always."""
    if any(way.k for way in found):
        chances = _chances_to_be_best(found, seed)
    else:
        chances = [weight / sum(weights) for weight in weights]
    return _rounded([(WHOLE - EVEN) * chance + EVEN / len(found) for chance in chances])


def _chances_to_be_best(found: Sequence[Tried], seed: str) -> list[float]:
    """Return each way's probability of having the highest rate, counted over seeded draws."""
    drawn = random.Random(f"{seed}\x1f{found}")  # noqa: S311 - to be repeated, not to be secret
    wins = [0] * len(found)
    for _ in range(SAMPLES):
        rates = [drawn.betavariate(1 + way.k, 1 + way.n - way.k) for way in found]
        wins[rates.index(max(rates))] += 1
    return [n / SAMPLES for n in wins]


def _rounded(parts: Sequence[float]) -> tuple[int, ...]:
    """Return whole numbers that add up to `WHOLE`; what rounding leaves goes to the largest remainders."""
    whole = [int(part) for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda n: whole[n] - parts[n])
    for n in by_remainder[: WHOLE - sum(whole)]:
        whole[n] += 1
    return tuple(whole)


def tried(connection: Connection, version: Version, stage: Split, by: datetime) -> tuple[Tried, ...]:
    """Return what had become before `by` of those who went each way, the holdout left out.

    For clicks and opens only those count whom one of the way's messages reached.
    """
    query = (_converted if stage.learn == "converted" else _reacted)(version, stage, by)
    by_arm = {arm: Tried(n, k) for arm, n, k in connection.execute(query)}
    return tuple(by_arm.get(way.name, Tried()) for way in stage.ways)


def _drawn(version: Version, stage: Split, by: datetime) -> Any:
    return and_(draw.c.step_id == version.number(stage), draw.c.at < by, enrollment.c.held_out.is_(False))


def _converted(version: Version, stage: Split, by: datetime) -> Select[Any]:
    converted = and_(enrollment.c.outcome == Outcome.converted.value, enrollment.c.left_at < by)
    reached = case((converted, 1), else_=0)
    return (
        select(draw.c.arm, func.count(), func.sum(reached))
        .join(enrollment, enrollment.c.id == draw.c.enrollment_id)
        .where(_drawn(version, stage, by))
        .group_by(draw.c.arm)
    )


def _reacted(version: Version, stage: Split, by: datetime) -> Select[Any]:
    steps = [version.number(one) for one in _arm_stages(version.plan.stages, stage) if one.message]
    sent = and_(
        message.c.enrollment_id == draw.c.enrollment_id,
        message.c.step_id.in_(steps),
        message.c.sent_at < by,
    )
    reacted = case((message.c[f"{stage.learn}_at"] < by, draw.c.enrollment_id))
    return (
        select(draw.c.arm, func.count(distinct(draw.c.enrollment_id)), func.count(distinct(reacted)))
        .join(enrollment, enrollment.c.id == draw.c.enrollment_id)
        .join(message, sent)
        .where(_drawn(version, stage, by))
        .group_by(draw.c.arm)
    )


def _arm_stages(stages: Sequence[Stage], split: Split) -> list[Stage]:
    """Return the stages inside a split's ways, in order: those reached from them before they meet again."""
    by_id = {stage.id: stage for stage in stages}
    inside: set[str] = set()
    rest = [way.to for way in split.ways]
    while rest:
        to = rest.pop()
        if to is not None and to != split.to and to not in inside:
            inside.add(to)
            rest += by_id[to].leads_to()
    return [stage for stage in stages if stage.id in inside]

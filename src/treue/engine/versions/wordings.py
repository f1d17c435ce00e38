"""What becomes of the copies of templates that versions keep: told by `treue plan`, done by `treue apply`.

A version keeps what its messages are written with. An edit of the files replaces the copies that were what the files said
before; where a template is gone, or the new words need what a version does not give, its copy stays for those inside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import Connection

from treue.errors import PlanError
from treue.plan.plan import Plan
from treue.plan.stored import from_json, plan_hash
from treue.store import journeys, wordings
from treue.store.journeys import StoredVersion
from treue.store.wordings import Words

Fate = Literal["new", "same", "replaced", "removed", "unfit", "older"]
"""What becomes of a copy: it is the first; it stays what the files say; the files' words take its place; the template is gone;
the files' words need what the version does not give; it was kept before, and stays."""

STAYS = ("removed", "unfit", "older")
"""Of whom the copy stays although the files say something else."""


def _always(_template: str, _plan: Plan) -> bool:
    return True


@dataclass(frozen=True)
class FilesWords:
    """The templates as the files have them, by name, and whether one can be written for those inside a version."""

    templates: Mapping[str, Words] = field(default_factory=dict)
    fits: Callable[[str, Plan], bool] = field(default=_always, compare=False)


@dataclass(frozen=True)
class Wording:
    """What becomes of one version's copy of a template; `inside` is how many customers are in the version.

    `is_news` says that it was otherwise until now.
    """

    version_id: int
    journey: str
    template: str
    fate: Fate
    inside: int = 0
    is_news: bool = False


def decided(
    connection: Connection,
    plans: Collection[Plan],
    files: FilesWords,
    *,
    everything: bool = False,
    leaving: Collection[str] = (),
) -> list[Wording]:
    """Return what becomes of the copies of all versions in use; with `everything`, older words are replaced, too.

    `plans` are what the files say. Those inside older versions of the journeys `leaving` go on in the new one, or leave.
    """
    hashes, kept = {plan.journey: plan_hash(plan) for plan in plans}, wordings.kept(connection)
    inside = _inside(connection)
    found = []
    for version in journeys.in_use(connection):
        plan = _plan(connection, version)
        if plan is None:
            continue
        current = hashes.get(version.name) == plan_hash(plan)
        heads = 0 if version.name in leaving and not current else inside.get(version.version_id, 0)
        for template in _sent(plan):
            row, now = kept.get((version.version_id, template)), files.templates.get(template)
            fate: Fate
            if row is None:
                fate = "new"
            elif now is None:
                fate = "removed"
            elif row.digest == now.digest:
                fate = "same"
            elif not (row.follows or everything or current):
                fate = "older"
            else:
                fate = "replaced" if current or files.fits(template, plan) else "unfit"
            is_news = fate in ("new", "replaced") or (row is not None and row.follows and fate != "same")
            found.append(Wording(version.version_id, version.name, template, fate, heads, is_news))
    return found


def settle(connection: Connection, decisions: Collection[Wording], files: FilesWords) -> None:
    """Do what was decided."""
    for one in decisions:
        now = files.templates.get(one.template)
        if one.fate in ("new", "replaced", "same") and now is not None:
            wordings.keep(connection, one.version_id, one.template, now)
        elif one.fate in ("removed", "unfit"):
            wordings.follow(connection, one.version_id, one.template, follows=False)


def _inside(connection: Connection) -> dict[int, int]:
    found: dict[int, int] = {}
    for state in journeys.by_name(connection).values():
        for version_id, _, number in journeys.occupancy(connection, state.journey_id):
            found[version_id] = found.get(version_id, 0) + number
    return found


def _plan(connection: Connection, version: StoredVersion) -> Plan | None:
    """Return a version's plan; None where it cannot be read."""
    try:
        return from_json(journeys.plan(connection, version.version_id))
    except PlanError:
        return None


def _sent(plan: Plan) -> list[str]:
    return sorted({stage.message.template for stage in plan.stages if stage.message})

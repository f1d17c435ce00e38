"""A stored version with a word whose package is gone holds its people and is named; they go on once it is back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from tests.engine.scene import Scene
from tests.engine.test_engine_failures import looked, number, run
from treue.engine.versions.application import look
from treue.engine.versions.versions import Versions, kept_as
from treue.errors import PlanError
from treue.insight.why import CustomerInquiry
from treue.model.tables import journey_version
from treue.plan.stored import from_json
from treue.store import customers

HELLO = "enter: {event: signed.up}\nsteps: [{send: hello, on: email}]"
HELD = "enter: {segment: germans}\nsteps: [{wait: 1h}, {id: asked, send: late, on: email, if: {attribute: vip, not: true}}]"


def gone(document: dict[str, Any], sort: str) -> dict[str, Any]:
    """Return a stored plan as if a package had brought its trigger, a step of it, or a condition."""
    wait, send = document["stages"]
    if sort == "trigger":
        return document | {"entry": document["entry"] | {"kind": "moon"}}
    if sort == "step":
        return document | {"stages": [wait | {"kind": "moon"}, send]}
    return document | {"stages": [wait, send | {"when": send["when"] | {"kind": "moon"}}]}


@pytest.mark.parametrize("sort", ["trigger", "step", "condition"])
def test_its_people_stand_still_and_go_on_where_they_were(scene: Scene, sort: str) -> None:
    scene.journeys(held=HELD, well=HELLO)
    run(scene)
    scene.customer("ada", country="DE")
    run(scene, minutes=1)
    mine = journey_version.c.journey_id == number(scene, "held")
    with scene.store.transaction() as connection:
        (plan,) = connection.scalars(select(journey_version.c.plan).where(mine))
        connection.execute(update(journey_version).where(mine).values(plan=gone(plan, sort)))
    scene.engine._versions = Versions()  # another process, after the package was uninstalled
    remedy = f"A stored version of held has the {sort} `moon`; install the package that brings it."

    scene.event("ada", "signed.up")
    assert run(scene, minutes=90) == [("held", "plan")]
    assert scene.templates() == ["hello"]
    assert scene.counts("held").inside == 1
    assert f"held: reading its plan has failed once: {remedy}" in looked(scene).health.notes
    with scene.store.reading() as connection:
        who = customers.find(connection, "ada")
        assert who is not None
        inquiry = CustomerInquiry(connection, who["id"], "Europe/Berlin", scene.now)
        assert [entry.decision for entry in inquiry.trail("held")] == ["entered", "waiting"]
        with pytest.raises(PlanError, match=r"install the package") as raised:
            look(connection, scene.files(held=HELD.replace("1h", "2h"), well=HELLO))
        assert str(raised.value) == remedy
        assert kept_as(connection, number(scene, "held"), from_json(plan)) is not None

    with scene.store.transaction() as connection:
        connection.execute(update(journey_version).where(mine).values(plan=plan))
    assert run(scene, minutes=2) == []
    assert scene.templates() == ["hello", "late"]
    assert looked(scene).healthy

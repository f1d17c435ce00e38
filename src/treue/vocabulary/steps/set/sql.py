"""What `set` does to a cohort: keep what is overwritten, write the plain values, note them all.

Templates are filled in by `personal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    Select,
    Text,
    bindparam,
    column,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from treue.cohorts.cohort import EFFECTIVE, constant_json, note_cohort
from treue.cohorts.personal import rendered
from treue.cohorts.player import Player
from treue.cohorts.scene import NOW, Deed, Scene, Statement
from treue.language.steps import is_template
from treue.model.states import Decision
from treue.model.tables import change, cohort, customer
from treue.store import sequence, touches
from treue.vocabulary.steps.set.word import Set


class SetPlayer(Player[Set]):
    """Plays `set`."""

    def act(self, scene: Scene, stage: Set) -> Sequence[Statement | Deed]:
        """Return what writes the values that are no templates."""
        plain = {name: value for name, value in stage.values if not is_template(value)}
        note = note_cohort(
            scene, stage, Decision.set, constant_json(scene, dict(stage.values)), cohort.c.note.is_(None)
        )
        render = [rendered("write what is rendered for each", stage)] if stage.is_personal else []
        if not plain:
            return [*render, Statement("note what was set", note)]
        added = constant_json(scene, plain)
        merged: Any = (
            customer.c.attributes.op("||")(added)
            if scene.dialect == "postgresql"
            else func.json_patch(customer.c.attributes, added)
        )
        write = update(customer).values(attributes=merged, updated_at=NOW).where(customer.c.id.in_(_ACTED_ON))
        changed = _changed(scene, added)
        keeping, bringing = _keeping(changed), touches.bringing(_touched(changed))

        def keep(scene: Scene) -> None:
            assert scene.connection is not None
            values = {"seq": sequence.take()}
            if touches.watched(scene.connection, plain):
                scene.connection.execute(bringing, values)
            scene.connection.execute(keeping, values)

        return [
            *render,
            Deed("keep what the attributes were", keep),
            Statement("write the attributes", write),
            Statement("note what was set", note),
        ]


def _changed(scene: Scene, added: ColumnElement[Any]) -> Select[Any]:
    """Return a query for the attributes that are about to change, which holds the customers until they do."""
    before: ColumnElement[Any]
    after: ColumnElement[Any]
    if scene.dialect == "postgresql":
        new = func.jsonb_each(added).table_valued(column("key", Text), column("value", JSONB), name="new")
        before, after = customer.c.attributes.op("->")(new.c.key), new.c.value
    else:
        new = func.json_each(added).table_valued(column("key", Text), column("fullkey", Text), name="new")
        before, after = customer.c.attributes.op("->")(new.c.fullkey), added.op("->")(new.c.fullkey)
    seq = bindparam("seq", type_=BigInteger)
    return (
        select(
            customer.c.id.label("customer_id"),
            new.c.key.label("name"),
            _ACTING.c.at.label("at"),
            _ACTING.c.at.label("happened_at"),
            seq.label("seq"),
            before.label("before"),
        )
        .select_from(_ACTING.join(customer, customer.c.id == _ACTING.c.customer_id).join(new, true()))
        .where(before.is_distinct_from(after))
        .order_by(customer.c.id)
        .with_for_update(key_share=True, of=customer)
    )


def _keeping(changed: Select[Any]) -> Insert:
    """Return what keeps the attributes that are about to change."""
    columns = [column.name for column in changed.selected_columns]
    return insert(change).from_select(columns, changed, include_defaults=False)


def _touched(changed: Select[Any]) -> Select[Any]:
    """Return the changes as touches, caused by a step."""
    found = changed.subquery("changed")
    columns = (found.c[name] for name in touches.TOUCHED if name != "caused")
    return select(*columns, true().label("caused"))


_ACTED_ON = select(cohort.c.customer_id).where(cohort.c.note.is_(None))
_ACTING = (
    _ACTED_ON.add_columns(func.min(EFFECTIVE).label("at")).group_by(cohort.c.customer_id).subquery("acting")
)


PLAYERS = {"set": SetPlayer()}

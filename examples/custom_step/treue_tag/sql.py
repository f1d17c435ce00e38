"""What `tag` does to a cohort: note who gets the tag and who has it already, then write it, all at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from treue.cohorts.cohort import constant_json, note_cohort
from treue.cohorts.player import Player
from treue.cohorts.scene import NOW, Scene, Statement
from treue.model.states import Decision
from treue.model.tables import cohort, customer
from treue_tag.word import HAD_TAG, TAGS, Tag


class TagPlayer(Player[Tag]):
    """Plays `tag`."""

    def act(self, scene: Scene, stage: Tag) -> list[Statement]:
        """Return what notes it and what writes it; who skips the step by its `if` has a note in the cohort."""
        acts, has = cohort.c.note.is_(None), _has(scene, stage.tag)
        tagged = select(customer.c.id).where(customer.c.id == cohort.c.customer_id, has).exists()
        decision = case((tagged, HAD_TAG), else_=Decision.set.value)
        note = note_cohort(scene, stage, decision, constant_json(scene, {TAGS: stage.tag}), acts)
        who = select(cohort.c.customer_id).where(acts)
        values = {"attributes": _with(scene, stage.tag), "updated_at": NOW}
        write = update(customer).values(values).where(customer.c.id.in_(who), ~has)
        return [Statement(f"note who gets the tag {stage.tag}", note), Statement("write the tag", write)]


def _has(scene: Scene, tag: str) -> ColumnElement[bool]:
    """Return whether a customer has the tag."""
    if scene.dialect == "postgresql":
        return func.coalesce(customer.c.attributes[TAGS].bool_op("@>")(constant_json(scene, [tag])), False)
    tags = func.json_each(customer.c.attributes, f"$.{TAGS}").table_valued("value")
    return select(literal(1)).select_from(tags).where(tags.c.value == tag).exists()


def _with(scene: Scene, tag: str) -> ColumnElement[Any]:
    """Return a customer's attributes with the tag at the end of the list."""
    tags: Any
    if scene.dialect == "postgresql":
        tags = func.coalesce(customer.c.attributes[TAGS], literal([], JSONB)).op("||")(
            constant_json(scene, [tag])
        )
        return customer.c.attributes.op("||")(func.jsonb_build_object(TAGS, tags))
    tags = func.coalesce(func.json_extract(customer.c.attributes, f"$.{TAGS}"), "[]")
    return func.json_set(customer.c.attributes, f"$.{TAGS}", func.json_insert(tags, "$[#]", tag))


PLAYERS = {"tag": TagPlayer()}

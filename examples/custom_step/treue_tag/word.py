"""`tag: NAME` gives the customer a tag: an entry of the list attribute `tags`. Nothing here imports SQLAlchemy."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from treue.language.grammar import INVALID, Context, Text
from treue.language.scenario import Noted, expectation_row, expected
from treue.language.source import Node, Scalar
from treue.language.step_rows import leaf, step_row
from treue.language.steps import Leaf, Step, is_template
from treue.language.words import Word
from treue.model.states import Decision

TAGS = "tags"
"""The attribute that holds a customer's tags."""

HAD_TAG = "had_tag"
"""What is noted of customers who have the tag already."""


@dataclass(frozen=True)
class Tag(Leaf):
    """Gives a tag."""

    tag: str
    kind: Literal["tag"] = "tag"

    def words(self) -> str:
        """Return the tag."""
        return f"tag {self.tag}"

    def likeness(self) -> Hashable:
        """Return the tag: a step that gives another one is another step."""
        return self.kind, self.tag

    def sets(self) -> tuple[str, ...]:
        """Return the attribute it writes."""
        return (TAGS,)


@dataclass(frozen=True)
class Tagged(Noted):
    """A step gives a tag: what a journey's test expects with `- {tag: NAME}`."""

    decisions: ClassVar[tuple[str, ...]] = (Decision.set.value,)

    tag: str = ""

    def words(self) -> str:
        """Return the tag."""
        return f"tag {self.tag}"

    def differences(self, values: Mapping[str, Any]) -> list[str]:
        """Return that the tag is not there."""
        return [] if self.tag in (values.get(TAGS) or ()) else ["another tag"]

    def named(self, steps: Sequence[Step]) -> Iterator[tuple[str, str, Iterable[str]]]:
        """Yield the tag: some step must give it."""
        yield "gives no tag {}", self.tag, {step.tag for step in steps if isinstance(step, Tag)}


NAME = Text("a tag of small letters, digits and dashes", r"[a-z0-9]+(?:-[a-z0-9]+)*")


class _Tag:
    noun = NAME.noun

    def parse(self, node: Node, context: Context) -> Any:
        """Return the tag. Says so where `tags` is no list that treue.yaml declares."""
        if isinstance(node, Scalar) and is_template(node.text):
            message = "A tag is the same for everybody; templates are not filled in here."
            return context.say(node, "T208", message, "Write one step for each tag, each with its `if`.")
        tag, type_ = NAME.parse(node, context), context.schema.attributes.get(TAGS)
        if tag is INVALID or type_ == "list":
            return tag
        message = f"`tag` keeps tags in the attribute `{TAGS}`, which is {f'a {type_}' if type_ else 'not declared'}."
        return context.say(node, "T304", message, f"Write `{TAGS}: list` under `customer` in treue.yaml.")

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return NAME.schema(defs)


STEP = step_row(
    "tag",
    "Gives the customer a tag, unless it is there.",
    _Tag(),
    lambda fields: Tag(**leaf(fields), tag=fields.get("tag")),
    least="tag: vip",
)
EXPECTATION = expectation_row(
    "tag",
    "A step gives this tag to a customer who lacks it.",
    NAME,
    lambda fields: Tagged(*expected(fields, "tag"), tag=fields.get("tag")),
    least="tag: vip",
)
WORD = Word(
    "step",
    {"tag": STEP},
    (Tag,),
    expectations={"tag": EXPECTATION},
    decisions={HAD_TAG: "had the tag already"},
)

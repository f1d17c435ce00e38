"""`{attribute: country, is: DE}`: compares one of the customer's attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from treue.language.conditions import OPERATORS, operator_keys, parse_ops
from treue.language.grammar import INVALID, Fields, Key, Raw, Shape, shown
from treue.language.problems import did_you_mean
from treue.language.source import Scalar
from treue.language.words import Word
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.segments.expiry import Expiry
from treue.segments.fact import Fact
from treue.segments.mentions import Mentions
from treue.segments.touch import Touch
from treue.segments.tree import Field, Leaf, Op, expiring
from treue.segments.words import wanted


@dataclass(frozen=True)
class Attribute(Leaf):
    """A customer's attribute, of the declared `type`, compared in every way listed."""

    name: str
    type: str
    ops: tuple[Op, ...]
    kind: Literal["attribute"] = "attribute"

    def words(self) -> str:
        """Return the attribute and what is wanted of it."""
        return f"{self.name} {wanted(self.ops)}"

    def subject(self) -> str:
        """Return the attribute's name."""
        return self.name

    def facts(self) -> tuple[Fact, ...]:
        """Return nothing: it stands in the customer's own row."""
        return ()

    def mentions(self) -> Mentions:
        """Return the attribute's name."""
        return Mentions(attributes=frozenset([self.name]))

    def changes_by(self) -> Touch:
        """Return that a write to the attribute changes the answer, as may time where the comparisons are with dates."""
        return Touch(attributes=frozenset([self.name]), time=self.looks_back() or self.looks_ahead())

    def expiries(self) -> tuple[Expiry, ...] | None:
        """Return the attribute's own time, where it is compared with a time that goes by; None for the days ahead."""
        if self.looks_ahead():
            return None
        if self.name == "created_at":
            return expiring(self.ops, "instant")
        match BUILT_IN_ATTRIBUTES.get(self.name, self.type):
            case "time" | "date" as kind:
                return expiring(self.ops, kind)
        return ()

    def fields(self) -> tuple[Field, ...]:
        """Return the attribute with its comparisons."""
        return (Field(None, self.name, self.ops),)

    def implies_attributes(self) -> frozenset[str]:
        """Return the attribute, unless all comparisons hold where it is missing, too."""
        asks = any(
            op.name not in ("not", "not_in") and (op.name, op.values) != ("exists", (False,))
            for op in self.ops
        )
        return frozenset([self.name]) if asks else frozenset()

    def reads_customer(self) -> bool:
        """Whether it looks at the customer's own row: always."""
        return True


def _build(fields: Fields) -> Any:
    context, node = fields.context, fields.node
    name_node = fields.get("attribute")
    if not isinstance(name_node, Scalar) or not isinstance(name_node.value, str):
        return context.say(
            name_node, "T203", f"Here belongs the name of an attribute, not {shown(name_node)}."
        )
    name = name_node.text
    type_ = context.schema.attributes.get(name)
    if type_ is None:
        declare = "Declare it under `customer` in treue.yaml."
        hint = did_you_mean(name, context.schema.attributes, declare)
        return context.say(name_node, "T304", f"There is no attribute {shown(name_node)}.", hint)
    names = [key for key in node.names() if key in OPERATORS]
    if not names:
        return context.say(
            node,
            "T202",
            f"What about `{name}`? A comparison is missing.",
            "Such as `is: DE` or `exists: true`.",
        )
    ops = parse_ops(node, names, type_, f"`{name}`", context)
    return INVALID if ops is INVALID else Attribute(name, type_, ops)


WORD = Word(
    "condition",
    {
        "attribute": Shape(
            "attribute condition",
            "Compares one of the customer's attributes.",
            (
                Key(
                    "attribute",
                    Raw("the name of an attribute", {"type": "string"}),
                    "The attribute.",
                    required=True,
                ),
                *operator_keys(),
            ),
            _build,
            examples={
                "attribute": "{attribute: country, exists: true}",
                "is": "{attribute: country, is: DE}",
                "not": "{attribute: country, not: DE}",
                "in": "{attribute: country, in: [DE, AT, CH]}",
                "not_in": "{attribute: country, not_in: [DE, AT]}",
                "above": "{attribute: points, above: 100}",
                "at_least": "{attribute: points, at_least: 100}",
                "below": "{attribute: points, below: 100}",
                "at_most": "{attribute: points, at_most: 100}",
                "between": "{attribute: points, between: [10, 100]}",
                "contains": "{attribute: city, contains: burg}",
                "starts_with": "{attribute: locale, starts_with: de}",
                "ends_with": "{attribute: email, ends_with: .example}",
                "matches": '{attribute: city, matches: "^(Bad|Sankt) "}',
                "exists": "{attribute: birthday, exists: true}",
                "before": "{attribute: birthday, before: 2000-01-01}",
                "after": "{attribute: created_at, after: 30d ago}",
                "anniversary_in": "{attribute: birthday, anniversary_in: 3d}",
            },
        )
    },
    (Attribute,),
)

"""`split` divides customers over its arms by a stable hash; with `learn`, by shares that follow what works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from treue.language.grammar import INVALID, Fields, Key, MapOf, Option, Shape, Whole
from treue.language.problems import Place
from treue.language.source import Mapping, Node, Scalar
from treue.language.step_rows import STEP_ID, STEPS_KEY, common, step_row
from treue.language.steps import Branch, Container, Flattening, Lead, Stage, Step, Way, message_of, walk
from treue.language.words import Word

if TYPE_CHECKING:
    from typing import Self

OUTCOMES = ("clicked", "opened", "converted")


@dataclass(frozen=True)
class Split(Stage):
    """Divides customers over its ways by a stable hash; with `learn`, by shares that follow what works."""

    draws: ClassVar[bool] = True
    tells_ways: ClassVar[bool] = True

    ways: tuple[Way, ...]
    learn: str | None = None
    kind: Literal["split"] = "split"

    def words(self) -> str:
        """Return what it learns from; `leads` says the rest."""
        return f"split, learning what is {self.learn}" if self.learn else "split"

    def alone(self) -> Self:
        """Return a copy without the targets of its ways."""
        return replace(super().alone(), ways=tuple(replace(way, to=None) for way in self.ways))

    def inner_ways(self) -> tuple[Way, ...]:
        """Return its arms: each has stages of its own."""
        return self.ways

    @property
    def learns(self) -> bool:
        """Whether its shares follow what works."""
        return self.learn is not None

    def leads(self, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
        """Return each way under its name and share."""
        if self.learn and not shares:
            return self.or_skipped(tuple(Lead(way.name, way.to, way.name) for way in self.ways))
        parts = shares or [way.weight for way in self.ways]
        return self.or_skipped(
            tuple(
                Lead(f"{way.name}: {part / sum(parts):.0%}", way.to, way.name)
                for way, part in zip(self.ways, parts, strict=True)
            )
        )


@dataclass(frozen=True)
class Arm:
    """One way through a split."""

    place: Place
    name: str
    weight: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class SplitStep(Container):
    """Divides customers by a stable hash; with `learn`, by shares that follow what works."""

    draws: ClassVar[bool] = True

    arms: tuple[Arm, ...]
    learn: str | None = None

    def branches(self) -> tuple[Branch, ...]:
        """Return a branch for each arm; one with a share of 0% is never taken unless it is learnt."""
        return tuple(
            Branch(arm.place, arm.name, arm.steps, f"arm {arm.name}", taken=bool(arm.weight or self.learn))
            for arm in self.arms
        )

    def check(self, journey: Fields) -> None:
        """Say that without a goal nobody converts."""
        if self.learn == "converted" and not journey.written("goal"):
            message = "Without a `goal` nobody converts, and there is nothing to learn from."
            hint = "Write the journey's `goal`, or learn from `clicked`."
            journey.context.problems.add(self.place, "T316", message, hint)

    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return the split, then the stages of each arm."""
        ways, inner = list[Way](), list[Stage]()
        for arm in self.arms:
            stages = flattening.steps(arm.steps, f"{path}.split.{arm.name}.steps", to)
            ways.append(Way(arm.name, stages[0].id if stages else to, weight=arm.weight))
            inner += stages
        return [Split(id_, self.place.line, self.when, to, tuple(ways), self.learn), *inner]


class _Arms:
    noun = "a mapping of names to arms"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the arms, each with its name."""
        found = MapOf(ARM, STEP_ID, "a name of small letters, digits and dashes", 2, self.noun).parse(
            node, context
        )
        if found is INVALID:
            return INVALID
        if not any(arm.weight for arm in found.values()):
            return context.say(node, "T206", "All weights are 0: nobody could go anywhere.")
        return tuple(Arm(arm.place, name, arm.weight, arm.steps) for name, arm in found.items())

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": ARM.schema(defs), "minProperties": 2}


def _build(fields: Fields) -> Any:
    arms, learn = fields.get("split", ()), fields.get("learn")
    silent = [arm for arm in arms if not any(map(message_of, walk(arm.steps)))]
    if learn in ("clicked", "opened") and silent:
        return fields.context.say(
            fields.at("learn"),
            "T316",
            f"Nothing in `{silent[0].name}` can be {learn}: it sends no message.",
            "Each way needs a `send`, or learn from `converted`.",
        )
    return SplitStep(**common(fields), arms=arms, learn=learn)


@dataclass(frozen=True)
class _Weight(Whole):
    def hint(self, node: Scalar) -> str | None:
        """Return the weight that a fraction of 1 means, as parts of a hundred."""
        if isinstance(node.value, float) and 0 < node.value < 1:
            return f"Write `{max(1, round(100 * node.value))}`."
        return super().hint(node)


ARM = Shape(
    "split arm",
    "One way through a split.",
    (Key("weight", _Weight(0, 1_000_000), "Its share, relative to the others.", required=True), STEPS_KEY),
    lambda fields: Arm(fields.node.place, "", fields.get("weight"), fields.get("steps", ())),
    "an arm with `weight` and `steps`",
)
ROW = step_row(
    "split",
    "Divides customers by a stable hash.",
    _Arms(),
    _build,
    Key("learn", Option(OUTCOMES), "Shift the shares, hour by hour, to the way after which most do this."),
)


def inner(step: Mapping) -> Iterator[Node | None]:
    """Yield the lists of steps inside a split, as they are written."""
    arms = step.get("split")
    for _, arm in arms.entries if isinstance(arms, Mapping) else ():
        if isinstance(arm, Mapping):
            yield arm.get("steps")


WORD = Word("step", {"split": ROW}, (Split,), (ARM,), inner)

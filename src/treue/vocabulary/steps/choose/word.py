"""`choose` takes the first of its branches whose condition holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from treue.language.conditions import CONDITION, answerable
from treue.language.grammar import INVALID, Fields, Key, ListOf, Shape, say_empty, shown
from treue.language.problems import Place, nearest
from treue.language.source import Items, Mapping, Node
from treue.language.step_rows import STEP, STEPS_KEY, Steps, common, step_row
from treue.language.steps import LONG, Branch, Container, Effort, Flattening, Lead, Stage, Step, Way, either
from treue.language.words import Word
from treue.segments.tree import Condition

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class Choose(Stage):
    """Sends customers on by the first way whose condition holds; without one, by `else` or past it."""

    effort: ClassVar[Effort] = LONG
    tells_ways: ClassVar[bool] = True
    names_ways: ClassVar[bool] = False

    ways: tuple[Way, ...]
    kind: Literal["choose"] = "choose"

    def words(self) -> str:
        """Return `choose`; `leads` describes the branches."""
        return "choose"

    def alone(self) -> Self:
        """Return a copy without the targets of its ways."""
        return replace(super().alone(), ways=tuple(replace(way, to=None) for way in self.ways))

    def inner_ways(self) -> tuple[Way, ...]:
        """Return its branches: each has stages of its own."""
        return self.ways

    def leads(self, shares: Sequence[float] = ()) -> tuple[Lead, ...]:
        """Return each way under its condition, and the one past them all where there is no else."""
        ways = tuple(Lead(either(way.condition), way.to, way.name) for way in self.ways)
        closed = self.ways and self.ways[-1].condition is None
        return self.or_skipped((*ways, *(() if closed else (Lead("none of these", self.to, "none"),))))

    def conditions(self) -> tuple[Condition, ...]:
        """Return its `if` and the conditions of its ways."""
        return (*super().conditions(), *(way.condition for way in self.ways if way.condition is not None))

    def compared(self, way: str | None) -> tuple[Condition, ...]:
        """Return the conditions of the ways up to the one taken."""
        found: list[Condition] = []
        for one in self.ways:
            found += [one.condition] if one.condition is not None else []
            if one.name == way:
                break
        return tuple(found)


@dataclass(frozen=True)
class ChooseStep(Container):
    """Takes the first branch whose condition holds."""

    choices: tuple[Choice, ...]

    def branches(self) -> tuple[Branch, ...]:
        """Return a branch for each choice, `else` included."""
        return tuple(
            Branch(one.place, _name(n, one), one.steps, _says(one), one.condition)
            for n, one in enumerate(self.choices)
        )

    @property
    def passes(self) -> bool:
        """Whether customers for whom no condition holds go past it, as there is no `else`."""
        return not self.choices or self.choices[-1].condition is not None

    def conditions(self) -> tuple[Condition, ...]:
        """Return its `if` and the conditions of its branches."""
        asked = (one.condition for one in self.choices)
        return (*super().conditions(), *(one for one in asked if one is not None))

    def flatten(self, flattening: Flattening, id_: str, path: str, to: str | None) -> list[Stage]:
        """Return the choice, then the stages of each branch."""
        ways, inner = list[Way](), list[Stage]()
        for n, one in enumerate(self.choices):
            below = f"{path}.choose.{n}.{'steps' if one.condition is not None else 'else'}"
            stages = flattening.steps(one.steps, below, to)
            ways.append(Way(_name(n, one), stages[0].id if stages else to, one.condition))
            inner += stages
        return [Choose(id_, self.place.line, self.when, to, tuple(ways)), *inner]


@dataclass(frozen=True)
class Choice:
    """One branch of a choose; no condition means else."""

    place: Place
    condition: Condition | None
    steps: tuple[Step, ...]


def _name(n: int, choice: Choice) -> str:
    return str(n) if choice.condition is not None else "else"


def _says(choice: Choice) -> str:
    return either(choice.condition) if choice.condition is None else f"if {either(choice.condition)}"


class _Branches:
    noun = "a list of branches"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the branches; `else` must come last."""
        if isinstance(node, Items) and not node.nodes:
            return say_empty(node, context)
        if not isinstance(node, Items):
            return context.say(
                node,
                "T203",
                f"Here belongs a list of branches, not {shown(node)}.",
                "Each begins with `- if:`; the last may be `- else:`.",
            )
        found = [self._branch(item, context, last=item is node.nodes[-1]) for item in node.nodes]
        if INVALID in found:
            return INVALID
        asked = [branch.condition for branch in found if branch.condition is not None]
        return tuple(found) if answerable(asked, node, context) else INVALID

    def _branch(self, node: Node, context: Any, *, last: bool) -> Any:
        if isinstance(node, Mapping) and node.key("else") is not None:
            key = node.key("else")
            assert key is not None
            if not last:
                return context.say(
                    key, "T207", "`else` must be the last branch.", "Nothing after it is ever reached."
                )
            return ELSE.parse(node, context)
        misspelt = [key for key, _ in node.entries if key.text != "if"] if isinstance(node, Mapping) else []
        if len(misspelt) == 1 and last and nearest(misspelt[0].text, ("if", "steps", "else")) == "else":
            message = f"There is no key {shown(misspelt[0])} in a branch."
            return context.say(misspelt[0], "T201", message, "Did you mean `else`?")
        return IF.parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return {"type": "array", "minItems": 1, "items": {"anyOf": [IF.schema(defs), ELSE.schema(defs)]}}


class _ElseSteps:
    noun = "the steps of the else branch"

    def parse(self, node: Node, context: Any) -> Any:
        """Return the steps, written as a list, or as a single step or mapping with `steps`."""
        if isinstance(node, Mapping) and node.names() == ["steps"]:
            inner = node.get("steps")
            assert inner is not None
            return Steps().parse(inner, context)
        return ListOf(STEP).parse(node, context)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON Schema."""
        return ListOf(STEP).schema(defs)


def _else(fields: Fields) -> Any:
    return Choice(fields.node.place, None, fields.get("else", ()))


IF = Shape(
    "branch",
    "A branch of a choose.",
    (Key("if", CONDITION, "Taken where this holds.", required=True), STEPS_KEY),
    lambda fields: Choice(fields.node.place, fields.get("if"), fields.get("steps", ())),
    "a branch",
)
ELSE = Shape(
    "else branch",
    "Taken where no other branch was.",
    (Key("else", _ElseSteps(), "What happens else.", required=True),),
    _else,
    "a branch",
)
ROW = step_row(
    "choose",
    "Takes the first branch that fits.",
    _Branches(),
    lambda fields: ChooseStep(**common(fields), choices=fields.get("choose", ())),
)


def inner(step: Mapping) -> Iterator[Node | None]:
    """Yield the lists of steps inside a choose, as they are written."""
    branches = step.get("choose")
    for branch in branches.nodes if isinstance(branches, Items) else ():
        if isinstance(branch, Mapping):
            yield from (branch.get("steps"), branch.get("else"))


WORD = Word("step", {"choose": ROW}, (Choose,), (IF, ELSE), inner)

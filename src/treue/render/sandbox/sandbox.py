"""Jinja2, cut down to what a message needs, and bounded in work and output.

Three fences, each enough by itself against the escapes known from Jinja's history (CVE-2016-10745,
CVE-2019-10906, CVE-2024-56201, CVE-2024-56326, CVE-2025-27516):
`audit` lets only listed syntax through; a dot looks up items of plain data and never Python's attributes; and
the environment is Jinja's own immutable sandbox with nothing in it to call but `range`.

Work is counted, not timed, so that the same template and data always end the same way, and counted before it is done:
whatever looks through a text, a list or a record pays for its parts first. A list that a template makes is paid for as
if all in it were written out, so that no value is larger than the work it took.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from treue.render.problem import Fault
from treue.render.sandbox import filters
from treue.render.sandbox.confinement import SECONDS
from treue.render.sandbox.values import LONGEST_NAME, PRINTABLE, AnyValue, Missing, SampleText

LOOPS = 10_000
"""Rounds of all loops of one rendering together."""
WORK = 400_000
"""Steps of one rendering: parts of expressions in loops, parts of values looked at, and eight characters of text read or made."""
OUTPUT = 512 * 1024
"""Characters one part of a message may have."""
STATE = "treue state"
"""Where a rendering's state stands among the template's variables; no template can write a name with a blank."""

_TEXTS = frozenset({str, Markup})
_LOOP = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"}
)
_DATE = frozenset({"year", "month", "day"})
_TIME = frozenset({"hour", "minute"})


class State:
    """What one rendering may still do, and for whom it is."""

    __slots__ = ("channel", "journey", "locales", "loops", "seconds", "template", "work", "zone")

    def __init__(
        self, locales: tuple[str, ...], zone: str, channel: str, journey: str = "", template: str = ""
    ) -> None:
        self.loops = LOOPS
        self.work = WORK
        self.seconds = SECONDS
        self.locales = locales
        self.zone = zone
        self.channel = channel
        self.journey = journey
        self.template = template

    def spend(self, steps: int) -> None:
        """Count `steps` of work; stops the rendering where too much was done."""
        self.work -= steps
        if self.work < 0:
            raise Fault(
                "too-much", "This template does too much work for one message; loop over fewer things."
            )

    def rounds(self, count: int, weight: int) -> None:
        """Count the rounds of a loop whose body has `weight` parts."""
        self.loops -= count
        if self.loops < 0:
            raise Fault(
                "too-much",
                f"The loops of a message may have {LOOPS:,} rounds together; loop over fewer things.",
            )
        self.spend(count * weight)


def kind(value: object) -> str:
    """Return what a marketer calls this kind of value."""
    if isinstance(value, bool):
        return "yes or no"
    for types, word in (
        (str, "text"), ((int, float, Decimal), "a number"), (datetime, "a time"), (date, "a date"),
        (Mapping, "a record"), ((list, tuple, range), "a list"),
    ):  # fmt: skip
        if isinstance(value, types):
            return word
    return "not data"


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox. `autoescape` is on for HTML, off for subjects, text, SMS and push."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, finalize=printable, keep_trailing_newline=True
        )
        self.globals = {"range": bounded_range}
        self.filters = dict(_FILTERS)
        self.tests = {name: self.tests[name] for name in TESTS} | _OWN_TESTS

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up an item by name: never a Python attribute, save a few of dates and loops."""
        if isinstance(obj, dict):
            value = obj.get(attribute)
            return Missing(attribute) if value is None else value
        return member(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up an item by name or place; one that is not there is `Missing`."""
        if isinstance(argument, Missing):
            argument.fail()
        if not isinstance(argument, (str, int)):
            raise Fault("wrong-type", f"A part is named by a text or a number, not by {kind(argument)}.")
        if isinstance(obj, dict):
            return self.getattr(obj, str(argument))
        if isinstance(argument, str):
            return member(obj, argument)
        if not isinstance(obj, (list, tuple, str, range)):
            if isinstance(obj, (Missing, AnyValue)):
                return obj
            raise Fault("wrong-type", f"A value that is {kind(obj)} has no numbered parts.")
        try:
            value = obj[argument]
        except IndexError:
            return Missing(str(argument))
        return Missing(str(argument)) if value is None else value

    def is_safe_callable(self, obj: Any) -> bool:
        """Only `range` may be called."""
        return obj is bounded_range

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Count with numbers, and join two texts with +; everything else stops the rendering."""
        for value in (left, right):
            if isinstance(value, Missing):
                value.fail()
        if operator == "+" and any(isinstance(one, str) for one in (left, right)):
            if all(isinstance(one, (str, AnyValue)) for one in (left, right)):
                return concat(context, left, right)
            raise Fault("wrong-type", "+ adds numbers or joins texts; between a text and a number write ~.")
        return self._calculate(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """Negate a number."""
        if isinstance(arg, Missing):
            arg.fail()
        return self._calculate("*", -1 if operator == "-" else 1, arg)

    def _calculate(self, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if not isinstance(value, (int, float, Decimal)) or operator == "**":
                raise Fault("wrong-type", f"{operator} works between numbers, and here stands {kind(value)}.")
        if Decimal in (type(left), type(right)):
            left, right = (Decimal(str(one)) if isinstance(one, float) else one for one in (left, right))
        try:
            result = self.binop_table[operator](left, right)
        except (ArithmeticError, ValueError):
            raise Fault("wrong-value", f"{left} {operator} {right} cannot be calculated.") from None
        return filters.sized(result)


def member(obj: Any, name: str) -> Any:
    """Return one of the few named parts that something other than a record has."""
    if isinstance(obj, (Missing, AnyValue)):
        return Missing(f"{obj.name}.{name[:LONGEST_NAME]}") if isinstance(obj, Missing) else obj
    known: Iterable[str] = ()
    if isinstance(obj, LoopContext):
        known = _LOOP
    elif isinstance(obj, datetime):
        known = _DATE | _TIME
    elif isinstance(obj, date):
        known = _DATE
    if name in known:
        return getattr(obj, name)
    if isinstance(obj, StrictUndefined):
        str(obj)
    name = name[:LONGEST_NAME]
    raise Fault("wrong-type", f"A value that is {kind(obj)} has no part called {name}.", name)


def printable(value: Any) -> Any:
    """Return a value that prints as text; raise Fault for lists, records and anything else."""
    if type(value) in _TEXTS:
        return value
    if isinstance(value, (*PRINTABLE, Missing, StrictUndefined)):
        return value
    if value is None:
        return ""
    raise Fault("wrong-type", f"A value that is {kind(value)} cannot be printed; name one of its parts.")


def bounded_range(*bounds: Any) -> range:
    """Return a range of at most 1,000 numbers."""
    if not 1 <= len(bounds) <= 3 or not all(type(one) is int and abs(one) <= 10**9 for one in bounds):
        raise Fault("wrong-type", "range takes one to three whole numbers.")
    if len(bounds) == 3 and bounds[2] == 0:
        raise Fault("wrong-value", "The step of a range cannot be 0.")
    found = range(*bounds)
    if len(found) > 1000:
        raise Fault("too-much", "A range may have at most 1,000 numbers.")
    return found


@pass_context
def each(context: Context, value: Any, weight: int) -> Any:
    """Let a loop go over a list, a record's names or a range, and count its rounds beforehand."""
    if isinstance(value, AnyValue):
        value = [value]
    if isinstance(value, (Missing, StrictUndefined)):
        return value
    if not isinstance(value, (list, tuple, dict, range)):
        raise Fault("wrong-type", f"A loop goes over a list, and this is {kind(value)}.")
    context.parent[STATE].rounds(len(value), weight)
    return value


@pass_context
def concat(context: Context, *parts: Any) -> str:
    """Join texts, as `~` does."""
    texts = [filters.text(part) for part in parts]
    filters.count_text(context, sum(map(len, texts)))
    made = "".join(texts)
    return SampleText(made) if isinstance(parts[0], SampleText) else made


@pass_context
def listed(context: Context, first: Any, *rest: Any) -> list[Any]:
    """Make a list. It weighs as much as all that is in it, however often the same thing is."""
    filters.weigh(context, first, *rest)
    return [first, *rest]


@pass_context
def sliced(context: Context, value: Any, *bounds: Any) -> Any:
    """Return a part of a text or a list, from, to and in steps as `[1:5]` says."""
    if isinstance(value, (Missing, AnyValue)):
        return value
    if not isinstance(value, (str, list, tuple, range)):
        raise Fault("wrong-type", f"A value that is {kind(value)} has no numbered parts.")
    if not all(bound is None or isinstance(bound, int) for bound in bounds):
        raise Fault("wrong-type", "The bounds of a part are whole numbers.")
    wanted = slice(*bounds)
    filters.spend(context, 1 + len(range(*wanted.indices(len(value)))))
    part = value[wanted]
    return SampleText(part) if isinstance(value, SampleText) else part


_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "lteq": operator.le, "gt": operator.gt,
    "gteq": operator.ge, "in": lambda left, right: left in right, "notin": lambda left, right: left not in right,
}  # fmt: skip


@pass_context
def compared(context: Context, left: Any, *rest: Any) -> Any:
    """Compare, as `a < b` and `a < b < c` do: `rest` is an operator, a value, and so on."""
    result: Any = True
    for word, right in zip(rest[::2], rest[1::2], strict=True):
        filters.weigh(context, left, right)
        result = _COMPARED[word](left, right)
        if not result:
            break
        left = right
    return result


def _comparing(word: str) -> Callable[..., Any]:
    @pass_context
    def test(context: Context, left: Any, right: Any) -> Any:
        return compared(context, left, word, right)

    return test


def _is_none(value: Any) -> bool:
    return value is None or isinstance(value, Missing)


def _remainder(value: Any, divisor: Any) -> int:
    """Never `%` on what comes in: on a text it would format, to any width."""
    return int(int(filters.sized(value)) % int(divisor)) if isinstance(value, (int, float, Decimal)) else -1


def _odd(value: Any) -> bool:
    return _remainder(value, 2) == 1


def _even(value: Any) -> bool:
    return _remainder(value, 2) == 0


def _divisible(value: Any, by: Any) -> bool:
    if not isinstance(by, int) or not by:
        raise Fault("wrong-value", "divisibleby takes a whole number other than 0.")
    return _remainder(value, by) == 0


_WORDS = {
    "eq": ("eq", "equalto", "=="), "ne": ("ne", "!="), "lt": ("lt", "lessthan", "<"), "lteq": ("le", "<="),
    "gt": ("gt", "greaterthan", ">"), "gteq": ("ge", ">="), "in": ("in",),
}  # fmt: skip
"""Jinja's names for a comparison as an operator, and as a test."""
_OWN_TESTS: dict[str, Callable[..., Any]] = {
    "none": _is_none, "odd": _odd, "even": _even, "divisibleby": _divisible,
    **{name: _comparing(word) for word, names in _WORDS.items() for name in names},
}  # fmt: skip
TESTS = (
    "defined", "undefined", "none", "odd", "even", "divisibleby", "string", "number", "boolean", "sequence",
    "mapping", *(name for names in _WORDS.values() for name in names),
)  # fmt: skip
_FILTERS: dict[str, Callable[..., Any]] = {
    **filters.ALL, "treue_each": each, "treue_concat": concat, "treue_list": listed, "treue_slice": sliced,
    "treue_compare": compared,
}  # fmt: skip


def prepare(tree: nodes.Template, environment: Environment) -> nodes.Template:
    """Put the counting into a checked tree: around what loops go over, and in place of what Python would do uncounted."""
    for loop in list(tree.find_all(nodes.For)):
        weight = sum(1 for _ in loop.find_all(nodes.Node))
        loop.iter = _call("treue_each", loop.iter, [nodes.Const(weight)], environment)
    _count_within(tree, environment)
    return tree


def _count_within(node: nodes.Node, environment: Environment) -> None:
    for field, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, field, [_counted(one, environment) for one in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _counted(value, environment))


def _counted(node: Any, environment: Environment) -> Any:
    if not isinstance(node, nodes.Node):
        return node
    _count_within(node, environment)
    if isinstance(node, nodes.Concat):
        return _call("treue_concat", node.nodes[0], node.nodes[1:], environment)
    if isinstance(node, nodes.Compare):
        rest = [one for operand in node.ops for one in (nodes.Const(operand.op), operand.expr)]
        return _call("treue_compare", node.expr, rest, environment)
    if isinstance(node, (nodes.List, nodes.Tuple)) and getattr(node, "ctx", "load") == "load" and node.items:
        return _call("treue_list", node.items[0], node.items[1:], environment)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _call("treue_slice", node.node, [bound or nodes.Const(None) for bound in bounds], environment)
    return node


def _call(name: str, node: nodes.Node, arguments: list[nodes.Expr], environment: Environment) -> nodes.Filter:
    made = nodes.Filter(
        node,
        name,
        arguments,
        [],
        None,
        None,
    )
    return made.set_environment(environment).set_lineno(node.lineno)  # type: ignore[return-value]

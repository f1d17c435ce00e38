"""Reads a template's syntax tree before it is compiled: only listed syntax, known names, all problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import nodes

from treue.render.problem import FINDINGS, nearest
from treue.render.sandbox import filters, sandbox
from treue.render.templates import elsewhere
from treue.render.templates.names import LATER

DEPTH = 50
NODES = 20_000
LOOP_DEPTH = 5
TAGS = 10_000
"""How many tags a source may have: one with more is not even parsed."""

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.CondExpr,
    nodes.If, nodes.For, nodes.Assign, nodes.With, nodes.List, nodes.Tuple, nodes.Call, nodes.Keyword,
)  # fmt: skip
_BOUNDED_NODES = 3_000
_BOUNDED_LOOPS = 2
_MAKING = (nodes.List, nodes.Tuple, nodes.Slice)
"""What makes a value that shares parts with another, or copies it."""
_GROWING = frozenset({"join", "replace", "urlencode", "utm", "treue_json"})
"""Filters whose text may be many times as long as what it is made of."""
_CALLED = {
    nodes.Macro: "macro", nodes.CallBlock: "call", nodes.Include: "include", nodes.Import: "import",
    nodes.FromImport: "import", nodes.Extends: "extends", nodes.Block: "block", nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set … endset", nodes.Pow: "**", nodes.Dict: "{…}", nodes.NSRef: "namespace",
    nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A problem at a line of the compiled source; `name` is the word in the tag that it is about."""

    line: int
    code: str
    message: str
    suggestion: str = ""
    name: str = ""


@dataclass(frozen=True)
class Tree:
    """Every node of a template, how deep its loops are nested, and what stopped the walk if something did."""

    nodes: tuple[nodes.Node, ...]
    loops: int
    stopped: Finding | None = None


def walk(tree: nodes.Template) -> Tree:
    """Walk a template's nodes without recursion; stop where there are too many or they are nested too deeply."""
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    found: list[nodes.Node] = []
    deepest = 0
    while stack:
        node, depth, loops = stack.pop()
        loops += isinstance(node, nodes.For)
        deepest = max(deepest, loops)
        stopped = _stopping(node, depth, loops, len(found))
        if stopped:
            return Tree(tuple(found), deepest, stopped)
        found.append(node)
        stack.extend((child, depth + 1, loops) for child in node.iter_child_nodes())
    return Tree(tuple(found), deepest)


def _stopping(node: nodes.Node, depth: int, loops: int, before: int) -> Finding | None:
    if depth > DEPTH or loops > LOOP_DEPTH:
        return Finding(node.lineno or 0, "T401", "This is nested too deeply.", "Write it in simpler steps.")
    if before >= NODES:
        return Finding(node.lineno or 0, "T401", "This template has too many tags.", "Make it shorter.")
    return None


def audit(tree: Tree, parts: Mapping[str, frozenset[str] | None]) -> list[Finding]:
    """Return what in the tree the sandbox does not allow or names nothing, the first `FINDINGS` of it.

    `parts` holds the names at hand and, for each, its declared parts (None: any).
    """
    if tree.stopped:
        return [tree.stopped]
    found: list[Finding] = []
    every = sorted(tree.nodes, key=lambda node: node.lineno or 0)
    spelt = {path.partition(".")[0]: path for path in map(_path, every) if path}
    assigned = {node.name for node in every if isinstance(node, nodes.Name) and node.ctx == "store"}
    for node in every:
        found.extend(_check(node, parts, assigned, spelt))
        if len(found) >= FINDINGS:
            break
    return sorted(set(found), key=lambda one: one.line)


def bounded(tree: Tree) -> bool:
    """Return whether a template provably finishes soon whatever the data, so that it may render in process.

    It does where every value in it is a constant, the customer's own data, or made of these in one expression. Data come
    in with a limit to their size and share no parts; so what is looked at is no larger than the data, and no text
    longer than the template's words for it times the data. That work is counted all the same.
    """
    every = tree.nodes
    if len(every) > _BOUNDED_NODES or tree.loops > _BOUNDED_LOOPS:
        return False
    set_here = {
        name.name for node in every if isinstance(node, (nodes.Assign, nodes.With)) for name in _targets(node)
    }
    return all(_is_bounded(node, set_here) for node in every)


def _is_bounded(node: nodes.Node, set_here: set[str]) -> bool:
    if isinstance(node, _MAKING) and getattr(node, "ctx", "load") == "load":
        return isinstance(node, (nodes.List, nodes.Tuple)) and all(
            isinstance(item, nodes.Const) for item in node.items
        )
    if isinstance(node, (nodes.Concat, nodes.Add)) or (
        isinstance(node, nodes.Filter) and node.name in _GROWING
    ):
        return not any(name.name in set_here for name in node.find_all(nodes.Name))
    return True


def _targets(node: nodes.Node) -> Iterator[nodes.Name]:
    """Yield the names that a `set` or a `with` gives a value."""
    targets = node.targets if isinstance(node, nodes.With) else [node.target]  # type: ignore[attr-defined]
    for target in targets:
        yield from (target,) if isinstance(target, nodes.Name) else target.find_all(nodes.Name)


def used(tree: Tree) -> frozenset[str]:
    """Return the names a template reads, alone and with their parts: `orders`, `customer.first_name`."""
    names: set[str] = set()
    for node in tree.nodes:
        if isinstance(node, nodes.Name) and node.ctx == "load":
            names.add(node.name)
        path = _path(node)
        if path:
            names.add(path)
    return frozenset(names)


def read(tree: Tree) -> frozenset[str]:
    """Return what a template reads, no more than that: `customer.first_name`, or `orders` where it may be any part of it."""
    paths = [(node, path) for node in tree.nodes if (path := _path(node))]
    inside = {id(node.node) for node, _ in paths if isinstance(node, (nodes.Getattr, nodes.Getitem))}
    whole = ((node, node.name) for node in tree.nodes if isinstance(node, nodes.Name) and node.ctx == "load")
    return frozenset(path for node, path in (*whole, *paths) if id(node) not in inside)


def _check(
    node: nodes.Node, parts: Mapping[str, frozenset[str] | None], assigned: set[str], spelt: Mapping[str, str]
) -> Iterator[Finding]:
    if type(node) not in _ALLOWED:
        word = _CALLED.get(type(node), type(node).__name__.lower())
        yield Finding(node.lineno or 0, "T401", f"{word!r} is not part of Treue's templates.", "", word)
    elif isinstance(node, nodes.Name):
        yield from _name(node, parts, assigned, spelt)
    elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
        yield from _part(node, parts, assigned)
    elif isinstance(node, nodes.Filter):
        yield from _filter(node)
    elif isinstance(node, nodes.Test):
        yield from _known(node, "test", node.name, sandbox.TESTS)
    elif isinstance(node, nodes.Call):
        yield from _call(node, parts)
    elif isinstance(node, nodes.For) and node.recursive:
        yield Finding(node.lineno or 0, "T401", "A loop cannot be recursive.", "", "recursive")
    elif (
        isinstance(node, nodes.Mod)
        and isinstance(node.left, nodes.Const)
        and isinstance(node.left.value, str)
    ):
        yield Finding(node.lineno or 0, "T401", "% is for numbers.", "Join texts with ~.", "%")


def _name(
    node: nodes.Name, parts: Mapping[str, frozenset[str] | None], assigned: set[str], spelt: Mapping[str, str]
) -> Iterator[Finding]:
    name = node.name
    if name.startswith("_"):
        yield Finding(node.lineno or 0, "T401", f"{name!r}: names do not begin with an underscore.", "", name)
    elif node.ctx != "load":
        if name in parts or name in ("loop", "range", "self"):
            yield Finding(
                node.lineno or 0, "T401", f"{name!r} has a meaning already.", "Choose another name.", name
            )
    elif name in LATER:
        message = f"{name!r} comes with a later version of Treue."
        yield Finding(node.lineno or 0, "T211", message, "Leave it out for now.", name)
    elif name not in parts and name not in assigned and name not in ("loop", "range"):
        near = nearest(name, list(assigned)) or elsewhere.meant(name, parts, spelt.get(name, name))
        message = f"There is no {name!r} in a template."
        yield Finding(node.lineno or 0, "T403", message, near or _listing(parts), name)


def _listing(parts: Mapping[str, frozenset[str] | None]) -> str:
    return "Known are " + ", ".join(sorted(parts)) + "."


def _part(
    node: nodes.Getattr | nodes.Getitem, parts: Mapping[str, frozenset[str] | None], assigned: set[str]
) -> Iterator[Finding]:
    name = _word(node)
    if name is None:
        return
    if name.startswith("_"):
        yield Finding(node.lineno or 0, "T401", f"{name!r}: names do not begin with an underscore.", "", name)
        return
    root = node.node.name if isinstance(node.node, nodes.Name) else ""
    known = parts.get(root) if root not in assigned else None
    if known is not None and name not in known:
        message = f"{root!r} has no {name!r}."
        near = nearest(name, known)
        yield Finding(node.lineno or 0, "T403", message, near or f"It has {', '.join(sorted(known))}.", name)


def _word(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        return node.attr
    constant = isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str)
    return str(node.arg.value) if constant else None  # type: ignore[attr-defined]


def _path(node: nodes.Node) -> str:
    words: list[str] = []
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        word = _word(node)
        if word is None:
            words.clear()
        else:
            words.append(word)
        node = node.node
    return ".".join([node.name, *reversed(words)]) if words and isinstance(node, nodes.Name) else ""


def _filter(node: nodes.Filter) -> Iterator[Finding]:
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        yield Finding(node.lineno or 0, "T401", "A filter takes plain arguments only.", "", node.name)
    yield from _known(
        node, "filter", node.name, sorted(name for name in filters.ALL if not name.startswith("treue_"))
    )


def _known(node: nodes.Expr, what: str, name: str, known: object) -> Iterator[Finding]:
    words = [*known] if isinstance(known, (tuple, list)) else []
    if name not in words and name not in ("treue_url", "treue_json"):
        message = f"There is no {what} called {name!r}."
        near = nearest(name, words) or "Known are " + ", ".join(one for one in words if one.isalpha()) + "."
        yield Finding(node.lineno or 0, "T403", message, near, name)


def _call(node: nodes.Call, parts: Mapping[str, frozenset[str] | None]) -> Iterator[Finding]:
    called = node.node
    if isinstance(called, nodes.Name) and called.name in (*LATER, "range"):
        if node.dyn_args is not None or node.dyn_kwargs is not None or node.kwargs:
            yield Finding(
                node.lineno or 0, "T401", f"{called.name} takes plain arguments only.", "", called.name
            )
        return
    name = called.name if isinstance(called, nodes.Name) else getattr(called, "attr", "")
    suggestion = f"Write {{{{ … | {name} }}}}." if name in filters.ALL else ""
    if isinstance(called, nodes.Name) and called.name not in parts:
        return  # reported as an unknown name
    yield Finding(node.lineno or 0, "T401", "Nothing but range(…) can be called.", suggestion, str(name))

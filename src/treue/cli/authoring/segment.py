"""`treue segment`: who is in it, and why somebody is or is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from treue.cli import opening, output
from treue.cli.opening import At, Json
from treue.errors import UsageError

if TYPE_CHECKING:
    from treue.segments.explain import Explanation
    from treue.segments.tree import Condition
    from treue.store.store import Store


def segment(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The segment.")],
    count: Annotated[bool, typer.Option("--count", help="How many (the default).")] = False,
    list_: Annotated[bool, typer.Option("--list", help="The customers' ids, one a line.")] = False,
    why: Annotated[str, typer.Option("--why", metavar="ID", help="Why this customer is in it or not.")] = "",
    at: At = "",
    json: Json = False,
) -> None:
    """Show who is in a segment, and why somebody is or is not."""
    if count + list_ + bool(why) > 1:
        raise UsageError("`--count`, `--list` and `--why` are three questions; ask one at a time.")
    workspace = opening.workspace(context)
    condition = workspace.segments[opening.known(name, workspace.segments, "segment")].condition
    zone = workspace.settings.timezone
    now = opening.moment(at, zone)
    head = {"segment": name, "at": now.isoformat().replace("+00:00", "Z")}
    with opening.store(workspace) as store:
        if why:
            found = explained(store, condition, why, now, zone)
            if json:
                number = _count(store, condition, now, zone)
                output.document(**head, count=number, customer=why, why=tree(found))
            else:
                output.line(f"{why} is {'' if found.holds else 'not '}in {name}.")
                show(found, "  ")
                for sentence in _unfit(store, condition, workspace.settings.schema.attributes):
                    output.line(sentence)
        elif list_:
            _list(_members(store, condition, now, zone), head, json)
        else:
            number = _count(store, condition, now, zone)
            output.document(**head, count=number) if json else output.line(str(number))


def _count(store: Store, condition: Condition, now: datetime, zone: str) -> int:
    from sqlalchemy import func, select

    from treue.segments.sql import Moment, members

    query = members(condition, Moment(now, zone, by_own_time=True), store.dialect).subquery("found")
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(query)) or 0


def _members(store: Store, condition: Condition, now: datetime, zone: str) -> list[str]:
    from sqlalchemy import select

    from treue.model.tables import customer
    from treue.segments.sql import Moment, members

    found = members(condition, Moment(now, zone, by_own_time=True), store.dialect).subquery("found")
    query = select(customer.c.key).join(found, found.c.customer_id == customer.c.id).order_by(customer.c.key)
    with store.reading() as connection:
        return list(connection.scalars(query))


def explained(store: Store, condition: Condition, key: str, now: datetime, zone: str) -> Explanation:
    """Return why a condition holds for a customer or not. Raises UsageError where nobody has this key."""
    from treue.segments.explain import explain, explanation
    from treue.segments.sql import Moment
    from treue.store.customers import find

    moment = Moment(now, zone, by_own_time=True)
    with store.reading() as connection:
        found = find(connection, key)
        if found is None:
            raise UsageError(f"There is no customer {key}.")
        row = connection.execute(explain(condition, moment, store.dialect, found["id"])).mappings().one()
    return explanation(condition, dict(row), moment)


def _unfit(store: Store, condition: Condition, types: Mapping[str, str]) -> list[str]:
    """Return a sentence for each attribute of the condition that customers have as something else than declared."""
    from treue.segments.unfit import unfit

    asked = condition.mentions().attributes
    with store.reading() as connection:
        found = unfit(connection, {name: kind for name, kind in types.items() if name in asked})
        return [one.words() for one in found]


def _list(keys: list[str], head: dict[str, str], json: bool) -> None:
    if json:
        output.document(**head, count=len(keys), customers=keys)
        return
    for key in keys:
        output.line(key)


def tree(found: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values."""
    return {
        "holds": found.holds,
        "observed": found.observed,
        "text": found.text,
        "parts": [tree(part) for part in found.parts],
    }


def show(found: Explanation, indent: str) -> None:
    """Print an explanation, each part with a mark for whether it holds."""
    mark = output.styled("✓", "good") if found.holds else output.styled("✗", "bad")
    output.line(f"{indent}{mark} {found.text}")
    for part in found.parts if not _is_said(found) else ():
        show(part, indent + "  ")


def _is_said(found: Explanation) -> bool:
    """Whether a node's own line says all: a `not` right before a leaf."""
    return len(found.parts) == 1 and not found.parts[0].parts and found.text.startswith("not: ")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(segment)

"""`treue enroll`: customers into a journey by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from treue.cli import opening, output
from treue.clock import utc_now
from treue.errors import UsageError


def enroll(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="JOURNEY", help="A journey with `manual: true`.")],
    customers: Annotated[list[str], typer.Argument(metavar="CUSTOMER...", help="The customers' ids.")],
) -> None:
    """Bring customers into a journey by hand.

    The journey has `manual: true`; the next pass lets them in.
    """
    workspace = opening.workspace(context)
    journey = workspace.journeys[opening.known(name, workspace.journeys, "journey")]
    if not journey.enter.trigger.by_hand:
        by_hand = sorted(n for n, one in workspace.journeys.items() if one.enter.trigger.by_hand)
        others = f" Such journeys are {', '.join(by_hand)}." if by_hand else ""
        raise UsageError(
            f"Nobody can be enrolled in {name} by hand: its `enter` is not `manual: true`.{others}"
        )
    from treue.engine.door.arrivals import enroll as bring
    from treue.store import aliases, journeys
    from treue.store import customers as people

    wanted = list(dict.fromkeys(customers))
    with opening.store(workspace) as store, store.transaction() as connection:
        journey_id = journeys.find(connection, name)
        if journey_id is None:
            raise UsageError(
                f"{name} does not run yet; `treue plan` shows what would change, `treue apply` makes it so."
            )
        aliases.hold(connection)
        ids = people.ids_for_keys(connection, wanted)
        unknown = [key for key in wanted if key not in ids]
        if unknown:
            raise UsageError(f"There is no customer {', '.join(unknown)}. Nobody was enrolled.")
        number = bring(connection, journey_id, [ids[key] for key in wanted], utc_now())
    output.line(f"{output.count(number, 'customer')} at the door of {name}; the next pass lets them in.")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(enroll)

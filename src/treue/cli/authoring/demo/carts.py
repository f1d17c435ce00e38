"""Carts for purchases that come without any: made up from the purchases themselves, the same each time.

Every order comes out of a cart of its own. Before some orders that cart was reported abandoned, minutes to days
earlier; after some customers' last order there was one more like it, which nobody ordered. Which, and when, is a
stable hash of customer and order: nothing is drawn, and no purchase is changed or left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from treue.store.inputs import EventInput


class Fate(StrEnum):
    """What became of a cart that was reported abandoned."""

    SOON = "soon"
    LATER = "later"
    NEVER = "never"


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SHARES = {Fate.SOON: 0.15, Fate.LATER: 0.1}
"""Before which share of the orders a cart stood that was ordered so."""
STOOD = {Fate.SOON: (MINUTE, 4 * HOUR), Fate.LATER: (4 * HOUR, 6 * DAY)}
"""How long after the report it was ordered, at least and at most."""
LEFT_FOR_GOOD = 0.3
"""After which share of the customers' last orders another cart stood, which nobody ordered."""
UNTIL_LEFT = (DAY, 30 * DAY)


@dataclass(frozen=True)
class Cart(EventInput):
    """The report that a cart was abandoned, and what became of the cart."""

    fate: Fate = Fate.NEVER


def cart_id(key: str, n: int) -> str:
    """Return the id of the cart that a customer's `n`th order comes out of."""
    return f"cart-{key}-{n}"


def abandoned_carts(key: str, orders: Sequence[EventInput]) -> Iterator[Cart]:
    """Yield a customer's abandoned carts in order; a cart is filled no earlier than the order before it."""
    for n, (before, order) in enumerate(pairwise(orders), 2):
        fate = _fate(key, n)
        if fate is None:
            continue
        at = _at(order) - _between(STOOD[fate], _luck(key, n, "stood"))
        if at > _at(before):
            yield _cart(order, key, n, at, fate)
    n = len(orders) + 1
    if _luck(key, n, "left") < LEFT_FOR_GOOD:
        at = _at(orders[-1]) + _between(UNTIL_LEFT, _luck(key, n, "until"))
        yield _cart(orders[-1], key, n, at, Fate.NEVER)


def _fate(key: str, n: int) -> Fate | None:
    luck = _luck(key, n, "fate")
    for fate, share in SHARES.items():
        if luck < share:
            return fate
        luck -= share
    return None


def _luck(key: str, n: int, purpose: str) -> float:
    """Return a number from 0 to 1 that hangs on customer, order and purpose alone."""
    digest = hashlib.blake2b(f"{key}/{n}/{purpose}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


def _between(bounds: tuple[timedelta, timedelta], luck: float) -> timedelta:
    least, most = bounds
    return timedelta(seconds=int((least + (most - least) * luck).total_seconds()))


def _at(order: EventInput) -> datetime:
    assert order.at is not None
    return order.at


def _cart(like: EventInput, key: str, n: int, at: datetime, fate: Fate) -> Cart:
    id_ = cart_id(key, n)
    properties: Mapping[str, Any] = {"cart_id": id_, "total": like.properties["total"]}
    return Cart(like.customer, "cart.abandoned", at, properties, id_, like.source, fate=fate)

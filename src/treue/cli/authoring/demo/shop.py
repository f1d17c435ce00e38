"""The people behind the purchases: names, languages, zones, addresses and consents, made from a seed.

The purchases are real, the people are not: addresses are at example.com, telephone numbers from the ranges
that regulators keep for films. CDNOW's customers all bought first in early 1997; so that the demo also has
newcomers, every tenth customer's purchases are moved by 52 weeks, weekdays kept. The data has no carts; `carts`
makes them up from the purchases.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from treue.cli.authoring.demo.carts import Cart, abandoned_carts, cart_id
from treue.cli.authoring.demo.purchases import Purchase
from treue.store.inputs import ConsentInput, CustomerInput, EventInput

SEED = 20_261_122
MOVED_BY = timedelta(weeks=52)
ONE_MOVED_IN = 10
FAREWELLS = 0.06

_GERMAN = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hannes", "Ida", "Jakob", "Käthe", "Leon", "Mila", "Noah", "Paula", "Rüdiger", "Sophie", "Theo", "Uwe", "Zoë", "Jürgen", "Björn", "Änne", "Lukas", "Marie", "Tim", "Frieda", "Karl"]  # fmt: skip
_ENGLISH = ["Ada", "Alan", "Beth", "Carl", "Daisy", "Ella", "Finn", "Grace", "Harry", "Iris", "Jack", "Kate", "Liam", "Mary", "Nora", "Oscar", "Poppy", "Ruth", "Sam", "Tess", "Victor", "Wendy"]  # fmt: skip
_GERMAN_LAST = [
    "Müller",
    "Schröder",
    "Weiß",
    "Bäcker",
    "Köhler",
    "Jäger",
    "Lange",
    "Voß",
    "Petersen",
    "Hansen",
    "Krüger",
    "Brandt",
    "Böhm",
    "Vogel",
    "Thomsen",
]
_ENGLISH_LAST = [
    "Miller",
    "Baker",
    "Smith",
    "Jones",
    "Hughes",
    "Taylor",
    "Evans",
    "Clark",
    "Wood",
    "Hall",
    "Green",
    "King",
    "Wright",
    "O'Neill",
]

_PLACES = (
    (46, "de", "DE", "Europe/Berlin", ("Hamburg", "Berlin", "Köln", "München", "Leipzig", "Lübeck")),
    (8, "de", "AT", "Europe/Vienna", ("Wien", "Graz", "Salzburg")),
    (6, "de", "CH", "Europe/Zurich", ("Zürich", "Bern", "Basel")),
    (18, "en", "GB", "Europe/London", ("London", "Bristol", "Leeds")),
    (14, "en", "US", "America/New_York", ("New York", "Boston", "Buffalo")),
    (5, "en", "US", "America/Los_Angeles", ("Seattle", "Portland", "Oakland")),
    (3, "en", "NL", None, ("Amsterdam", "Utrecht")),
)

_FACTS = {"sale": True, "similar_goods": True, "notice": True}


@dataclass(frozen=True)
class Shopper:
    """A customer with everything that happens to them, in order."""

    customer: CustomerInput
    consents: tuple[ConsentInput, ...]
    orders: tuple[EventInput, ...]
    carts: tuple[Cart, ...]
    since: datetime
    farewell: EventInput | None = None


@dataclass
class Shop:
    """The demo's customers in the order in which they came."""

    people: list[Shopper] = field(default_factory=list)
    moved: int = 0


def open_shop(purchases: Sequence[Purchase]) -> Shop:
    """Return the shop that these purchases were made in."""
    by_customer: dict[str, list[Purchase]] = {}
    for purchase in purchases:
        by_customer.setdefault(purchase.customer, []).append(purchase)
    shop = Shop()
    for n, key in enumerate(sorted(by_customer)):
        moved = n % ONE_MOVED_IN == ONE_MOVED_IN - 1
        shop.moved += moved
        shop.people.append(_person(key, by_customer[key], MOVED_BY if moved else timedelta()))
    shop.people.sort(key=lambda person: person.since)
    return shop


def _person(key: str, purchases: list[Purchase], shift: timedelta) -> Shopper:
    draw = random.Random(f"{SEED}/{key}")  # noqa: S311 - a repeatable shop, nothing secret
    times = sorted(_moment(purchase.day + shift, draw) for purchase in purchases)
    since = times[0] - timedelta(days=draw.choice((0, 0, 1, 3, 8, 20, 40)), minutes=5)
    id_ = f"cd-{key}"
    orders = tuple(
        EventInput(id_, "order.placed", at, _order(key, n, purchase), f"order-{key}-{n}", "shop")
        for n, (at, purchase) in enumerate(zip(times, purchases, strict=True), 1)
    )
    customer = _customer(id_, key, since, draw)
    given = tuple(_consents(customer, since, times[0], draw))
    carts = tuple(abandoned_carts(key, orders))
    return Shopper(customer, given, orders, carts, since, _farewell(id_, times, draw))


def _farewell(id_: str, times: list[datetime], draw: random.Random) -> EventInput | None:
    """Return, for a few, when they had enough of our mails: some time after one of their orders."""
    if draw.random() > FAREWELLS:
        return None
    at = draw.choice(times) + timedelta(days=draw.randrange(1, 200))
    return EventInput(
        id_, "consent.withdrawn", at, {"channel": "email", "source": "shop"}, f"farewell-{id_}", "shop"
    )


def _moment(day: date, draw: random.Random) -> datetime:
    return datetime.combine(day, time(7), UTC) + timedelta(seconds=draw.randrange(13 * 3600))


def _order(key: str, n: int, purchase: Purchase) -> dict[str, object]:
    """Return the order's properties; CDNOW's dollars are taken as euros, one for one."""
    return {
        "order_id": f"{key}-{n}",
        "cart_id": cart_id(key, n),
        "total": purchase.amount,
        "currency": "EUR",
        "quantity": purchase.quantity,
    }


def _customer(id_: str, key: str, since: datetime, draw: random.Random) -> CustomerInput:
    _, language, country, zone, cities = draw.choices(_PLACES, [place[0] for place in _PLACES])[0]
    german = language == "de"
    attributes: dict[str, object] = {"country": country, "city": draw.choice(cities)}
    if draw.random() < 0.97:
        attributes["first_name"] = draw.choice(_GERMAN if german else _ENGLISH)
        attributes["last_name"] = draw.choice(_GERMAN_LAST if german else _ENGLISH_LAST)
    if draw.random() < 0.6:
        attributes["birthday"] = (date(1940, 1, 1) + timedelta(days=draw.randrange(15_000))).isoformat()
    phone = f"+447700900{draw.randrange(1000):03d}" if draw.random() < 0.45 else None
    token = f"demo-device-{key}" if draw.random() < 0.3 else None
    return CustomerInput(id_, f"{key}@example.com", phone, token, language, zone, attributes, since, "shop")


def _consents(
    customer: CustomerInput, since: datetime, first_order: datetime, draw: random.Random
) -> list[ConsentInput]:
    """Return what this customer agreed to: some to everything, some to nothing, most to e-mail."""
    found = []
    proof = {"wording": "Ja, schickt mir Post von Klangladen.", "form": "https://klangladen.example/konto"}
    luck = draw.random()
    if luck < 0.72:
        found.append(ConsentInput(customer.key, "email", since, "consent", "shop", proof))
    elif luck < 0.9:
        found.append(ConsentInput(customer.key, "email", first_order, "existing_customer", "shop", _FACTS))
    if customer.phone and draw.random() < 0.4:
        found.append(ConsentInput(customer.key, "sms", since, "consent", "shop", proof))
    if customer.push_token and draw.random() < 0.8:
        found.append(ConsentInput(customer.key, "push", since, "consent", "shop", proof))
    return found

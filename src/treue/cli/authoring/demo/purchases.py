"""The demo's purchases: CDNOW's where they can be had, else a generated shop's. It says which."""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

FIRST_DAY, LAST_DAY = date(1997, 1, 1), date(1998, 6, 30)
GENERATED_CUSTOMERS = 8_000


@dataclass(frozen=True)
class Purchase:
    """One purchase: who, when, how many records, for how much."""

    customer: str
    day: date
    quantity: int
    amount: float


@dataclass(frozen=True)
class History:
    """Purchases in the order of their days, and in a sentence where they come from."""

    purchases: list[Purchase]
    origin: str
    real: bool


def load_history() -> History:
    """Return the purchases of CDNOW from the project's data, from the package that ships them, or generated ones.

    The package `lifetimes` carries the file; it is read as data, none of its code is imported.
    """
    path = _project_data()
    if path is not None:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return History(
                _sorted(_from_csv(file)), "CDNOW, a record shop's real purchases of 1997 and 1998", True
            )
    packaged = _packaged_data()
    if packaged is not None:
        with packaged.open(encoding="ascii") as file:
            found = _sorted(_from_master(file))
        return History(found, "CDNOW, a record shop's real purchases (from the package lifetimes)", True)
    return History(_sorted(_generated()), "a generated shop, since the CDNOW data are not installed", False)


def _project_data() -> Path | None:
    folder = os.environ.get("TREUE_DATA")
    beside = Path(__file__).resolve().parents[4].parent / "shared" / "data"
    path = (Path(folder) if folder else beside) / "cdnow.csv.gz"
    return path if path.is_file() else None


def _packaged_data() -> Path | None:
    spec = find_spec("lifetimes")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "datasets" / "CDNOW_master.txt"
        if path.is_file():
            return path
    return None


def _from_csv(lines: Iterator[str]) -> Iterator[Purchase]:
    for row in csv.DictReader(lines):
        yield Purchase(
            row["customer_id"], date.fromisoformat(row["date"]), int(row["quantity"]), float(row["amount"])
        )


def _from_master(lines: Iterator[str]) -> Iterator[Purchase]:
    next(lines)  # the names of the columns
    for line in lines:
        customer, day, quantity, amount = line.split()
        yield Purchase(
            customer, date(int(day[:4]), int(day[4:6]), int(day[6:])), int(quantity), float(amount)
        )


def _sorted(purchases: Iterator[Purchase]) -> list[Purchase]:
    return sorted(purchases, key=lambda purchase: (purchase.day, purchase.customer))


def _generated() -> Iterator[Purchase]:
    """Yield a cohort that first buys in the first twelve weeks and then less and less often, each in its own way."""
    draw = random.Random(1997)  # noqa: S311 - a repeatable shop, nothing secret
    for n in range(GENERATED_CUSTOMERS):
        rate, fidelity = draw.gammavariate(0.6, 1 / 40), draw.betavariate(1.2, 1.6)
        day = FIRST_DAY + timedelta(days=draw.randrange(84))
        while day <= LAST_DAY:
            quantity = 1 + min(int(draw.expovariate(0.8)), 9)
            yield Purchase(f"{n + 1:05d}", day, quantity, round(quantity * draw.uniform(9.5, 17.5), 2))
            if draw.random() > fidelity + 0.25:
                break
            day += timedelta(days=1 + int(draw.expovariate(max(rate, 1 / 200))))

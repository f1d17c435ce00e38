"""Stable draws: who is held out and which way a split sends someone, as arithmetic both databases do alike.

A customer's `draw` is a 31-bit hash of the key. For each purpose (journey, step) two constants from a keyed
hash make a quadratic of it modulo the prime 2**31 - 1; no intermediate value exceeds 63 bits. The result is
the same on SQLite, PostgreSQL and in Python, and survives edits, versions and restarts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, literal

PRIME = 2**31 - 1


def _constants(purpose: str) -> tuple[int, int]:
    digest = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4], "big") % (PRIME - 1) + 1, int.from_bytes(digest[4:], "big") % PRIME


def holdout_purpose(salt: str, journey: str) -> str:
    """Return what the draw for a journey's holdout is made from."""
    return f"holdout\x1f{salt}\x1f{journey}"


def split_purpose(salt: str, journey: str, step: str) -> str:
    """Return what the draw for a split is made from."""
    return f"split\x1f{salt}\x1f{journey}\x1f{step}"


def place(draw: int, purpose: str, whole: int) -> int:
    """Return a customer's place, 0 to `whole` - 1, for a purpose."""
    a, b = _constants(purpose)
    x = (a * draw + b) % PRIME
    x = (x * ((x + a) % PRIME)) % PRIME
    return x * whole // PRIME


def place_sql(draw: ColumnElement[Any], purpose: str, whole: int) -> ColumnElement[int]:
    """Return `place` as SQL over the column `draw`."""
    a, b = (literal(n, BigInteger) for n in _constants(purpose))
    prime = literal(PRIME, BigInteger)
    x = (a * draw + b) % prime
    x = (x * ((x + a) % prime)) % prime
    # `/` of integers is integer division on both databases; SQLAlchemy's `//` says so.
    return (x * literal(whole, BigInteger)) // prime


def way(draw: int, purpose: str, weights: Sequence[int]) -> int:
    """Return the index of the way a customer takes through a split of these weights."""
    where, passed = place(draw, purpose, sum(weights)), 0
    for n, weight in enumerate(weights):
        passed += weight
        if where < passed:
            return n
    raise AssertionError("a place is below the sum of the weights")


def way_sql(draw: ColumnElement[Any], purpose: str, weights: Sequence[int]) -> ColumnElement[int]:
    """Return `way` as SQL over the column `draw`."""
    where, passed = place_sql(draw, purpose, sum(weights)), 0
    whens = []
    for n, weight in enumerate(weights):
        passed += weight
        if weight:
            whens.append((where < passed, n))
    return case(*whens)

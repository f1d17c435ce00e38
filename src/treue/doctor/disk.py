"""Whether there is room to write where the state folder and SQLite's file lie."""

from __future__ import annotations

from collections.abc import Iterator

from treue.doctor.findings import Finding, warning, well, wrong
from treue.doctor.surroundings import Surroundings

LITTLE = 1_000_000_000
TOO_LITTLE = 100_000_000

_REMEDY = "Make room: `treue db vacuum` deletes old rows; logs and backups belong on another disk."


def check_disk(surroundings: Surroundings) -> Iterator[Finding]:
    """Look how much may still be written at each place."""
    yield _room(".treue/ lies", surroundings.free(surroundings.state))
    if file := surroundings.database_file:
        yield _room(f"{file.name} lies", surroundings.free(file))


def _room(where: str, free: int) -> Finding:
    said = f"{free / 1_000_000_000:,.1f} GB" if free >= LITTLE else f"{free / 1_000_000:,.0f} MB"
    if free < TOO_LITTLE:
        return wrong(f"Only {said} are free where {where}: soon nothing can be recorded.", _REMEDY)
    if free < LITTLE:
        return warning(f"Only {said} are free where {where}.", _REMEDY)
    return well(f"{said} are free where {where}.")

"""Imports: whole files of customers or events, in batches that are each kept wholly or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, exc

from treue.errors import RejectedInput
from treue.language.problems import did_you_mean
from treue.model.states import CHANNELS
from treue.store import consents, customers, events, validation
from treue.store.addresses import shown
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.row_files import REJECTED_LINE, REJECTED_REASON, FileRow, Rejects, recognise
from treue.store.store import Store

BATCH = 5_000
SOURCE = events.HISTORY
MAX_NOTES = 20

Progress = Callable[[int], None]
"""Told how many rows have been read so far, after each batch."""


@dataclass
class ImportReport:
    """What an import came to. `rejected_file` holds the rows set aside; `notes` are sentences worth showing.

    For customers `created + updated` may be less than `read - rejected`: the rest was as it should be already.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    duplicates: int = 0
    consents: int = 0
    rejected: int = 0
    rejected_file: Path | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, sentences: Iterable[str]) -> None:
        """Keep the first sentences; a million odd rows need not make a million."""
        for sentence in sentences:
            if len(self.notes) < MAX_NOTES and sentence not in self.notes:
                self.notes.append(sentence)


@dataclass(frozen=True)
class _Customer:
    customer: CustomerInput
    consents: tuple[ConsentInput, ...]


Record = TypeVar("Record")


@dataclass(frozen=True)
class _Import(Generic[Record]):
    """What differs between customers and events: how a row is read, and how a batch of them is kept."""

    read: Callable[[FileRow], Record]
    keep: Callable[[Connection, Sequence[Record], ImportReport], None]


def import_customers(
    store: Store,
    path: Path,
    mapping: Mapping[str, str],
    schema: Mapping[str, str],
    now: datetime,
    progress: Progress | None = None,
    *,
    zone: str = "UTC",
) -> ImportReport:
    """Create and merge customers from a file; `mapping` names the attribute of each column that is called otherwise.

    Columns: `id`, the built-in attributes, `consent` (channels, told with `consent_at`), the rest attributes,
    held against `schema`. An attribute named "" in the mapping leaves its column out. Without `consent_at` a
    consent counts only where the customer has said nothing yet, so that importing again never undoes an
    unsubscription. Raises RejectedInput where the file as a whole cannot be read.
    """

    def read(row: FileRow) -> _Customer:
        return _customer(_named(row.values, mapping), schema, zone, path.name)

    def keep(connection: Connection, batch: Sequence[_Customer], report: ImportReport) -> None:
        merged = customers.merge(connection, [record.customer for record in batch], now)
        words = [word for record in batch for word in record.consents]
        dated = [word for word in words if word.at] + consents.untold(
            connection, [word for word in words if not word.at]
        )
        report.consents += consents.give(connection, dated, now)
        report.created += merged.created
        report.updated += merged.updated
        report.note(merged.notes)

    return _run(store, path, _Import(read, keep), progress)


def import_events(
    store: Store,
    path: Path,
    mapping: Mapping[str, str],
    schema: Mapping[str, Mapping[str, str]],
    now: datetime,
    progress: Progress | None = None,
    *,
    zone: str = "UTC",
    event: str | None = None,
) -> ImportReport:
    """Record the events of a file; `mapping` names the property of each column that is called otherwise.

    Columns: `id`, `customer_id`, `event` (or every row is the one given), `at`, the rest properties, held
    against `schema`. Without an id a row is known by its content and its line, so that importing the same file
    again records nothing twice. Times without an offset are local to `zone`. Raises RejectedInput where the
    file as a whole cannot be read.
    """

    def read(row: FileRow) -> EventInput:
        given = _event(row, _named(row.values, mapping), schema, zone, event)
        if refusal := events.problem(given, now):
            raise RejectedInput(refusal)
        return given

    def keep(connection: Connection, batch: Sequence[EventInput], report: ImportReport) -> None:
        recorded = events.record(connection, batch, now, checked=True)
        report.created += len(recorded.new_ids)
        report.duplicates += recorded.duplicates

    return _run(store, path, _Import(read, keep), progress)


def _run(store: Store, path: Path, job: _Import[Record], progress: Progress | None) -> ImportReport:
    file = recognise(path)
    report, rejects = ImportReport(notes=file.notes), Rejects(file)
    try:
        for batch in _batches(file.rows()):
            _keep(store, job, _readable(job, batch, rejects), rejects, report)
            report.read += len(batch)
            if progress:
                progress(report.read)
    except (EOFError, OSError) as error:
        raise RejectedInput(f"{path.name} breaks off after {report.read} rows: {error}.") from error
    finally:
        rejects.close()
        report.rejected, report.rejected_file = rejects.count, rejects.path
    return report


def _batches(rows: Iterator[FileRow]) -> Iterator[list[FileRow]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _readable(
    job: _Import[Record], batch: Sequence[FileRow], rejects: Rejects
) -> list[tuple[FileRow, Record]]:
    good = []
    for row in batch:
        try:
            if row.problem:
                raise RejectedInput(row.problem)
            good.append((row, job.read(row)))
        except RejectedInput as rejected:
            rejects.add(row, str(rejected))
    return good


def _keep(
    store: Store,
    job: _Import[Record],
    batch: Sequence[tuple[FileRow, Record]],
    rejects: Rejects,
    report: ImportReport,
) -> None:
    """Keep a batch in one transaction; where a row spoils it, set that one aside and keep the others."""
    if not batch:
        return
    try:
        with store.transaction() as connection:
            job.keep(connection, [record for _, record in batch], report)
    except (RejectedInput, exc.DataError, exc.IntegrityError) as error:
        if len(batch) == 1:
            reason = (
                str(error) if isinstance(error, RejectedInput) else f"The database refused it: {error.orig}."
            )
            rejects.add(batch[0][0], reason)
            return
        half = len(batch) // 2
        _keep(store, job, batch[:half], rejects, report)
        _keep(store, job, batch[half:], rejects, report)


def _named(values: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return the row's values under the names they are to have, without what is empty or left out."""
    named: dict[str, Any] = {}
    for column, value in values.items():
        name = mapping.get(column, column)
        empty = value is None or value == "" or (isinstance(value, float) and value != value)
        if name and not empty and name not in (REJECTED_LINE, REJECTED_REASON):
            named[name] = value
    return named


def _customer(values: dict[str, Any], schema: Mapping[str, str], zone: str, file: str) -> _Customer:
    key = _key(values.pop("id", None) or values.pop("customer_id", None))
    created_at = _moment(values.pop("created_at", None), "created_at", zone)
    said = _consents(key, values, zone, file)
    columns = {name: _key(values.pop(name)) for name in customers.COLUMNS if name in values}
    nested = values.pop("attributes", {})
    attributes = _conform({**values, **(nested if isinstance(nested, dict) else {})}, schema, zone)
    given = CustomerInput(key, **columns, attributes=attributes, created_at=created_at, source=SOURCE)
    if refusal := customers.problem(given):
        raise RejectedInput(refusal)
    return _Customer(given, said)


def _consents(key: str, values: dict[str, Any], zone: str, file: str) -> tuple[ConsentInput, ...]:
    told, at = values.pop("consent", ""), _moment(values.pop("consent_at", None), "consent_at", zone)
    channels = (
        list(told) if isinstance(told, list) else [word for word in re.split(r"[\s,;|]+", str(told)) if word]
    )
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown:
        raise RejectedInput(
            f"consent: {shown(str(unknown[0]))} is no channel; there are {', '.join(CHANNELS)}."
        )
    proof = {"file": file}
    return tuple(ConsentInput(key, channel, at, source=SOURCE, proof=proof) for channel in channels)


def _event(
    row: FileRow,
    values: dict[str, Any],
    schema: Mapping[str, Mapping[str, str]],
    zone: str,
    event: str | None,
) -> EventInput:
    name = _key(values.pop("event", None) or event)
    if schema and name not in schema:
        near = did_you_mean(name, schema) or "Declare it under `events`."
        raise RejectedInput(f"event: there is no event `{name}` in treue.yaml. {near}")
    at = _moment(values.pop("at", None), "at", zone)
    if at is None:
        raise RejectedInput("at: the time of the event is missing.")
    id_ = values.pop("id", None)
    key = _content_key(row) if id_ is None else _key(id_)
    customer = _key(values.pop("customer_id", None))
    nested = values.pop("properties", {})
    properties = {**values, **(nested if isinstance(nested, dict) else {})}
    return EventInput(customer, name, at, _conform(properties, schema.get(name, {}), zone), key, SOURCE)


def _content_key(row: FileRow) -> str:
    text = repr((row.line, sorted(row.values.items())))
    return "import:" + blake2b(text.encode(errors="backslashreplace"), digest_size=16).hexdigest()


def _key(value: Any) -> str:
    """Return an identifier as text; a table of numbers may have made 17850.0 of 17850."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _moment(value: Any, column: str, zone: str) -> datetime | None:
    try:
        return None if value is None else validation.moment(value, zone)
    except validation.Misfit as misfit:
        raise RejectedInput(f"{column}: {misfit}") from None


def _conform(values: Mapping[str, Any], declared: Mapping[str, str], zone: str) -> dict[str, Any]:
    kept, problems = validation.conform(values, declared, zone)
    if problems:
        raise RejectedInput(" ".join(problems))
    return kept

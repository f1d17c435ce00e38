"""Imports: whole files of customers or events, in batches that are each kept wholly or not at all.

Nothing of a file gets lost in silence: each line is blank, in the database, or set aside with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, exc

from treue.errors import RejectedInput
from treue.language.problems import did_you_mean
from treue.model.states import CHANNELS, EventStatus
from treue.store import consents, customers, events, import_columns, shared_addresses, validation
from treue.store.addresses import shown
from treue.store.import_columns import Naming
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.store.row_files import FileRow, Rejects, RowFile
from treue.store.row_files.cells import PLACEHOLDERS, is_placeholder, trimmed
from treue.store.row_files.local_writing import KINDS, LocalWriting
from treue.store.row_files.recognition import BROKEN
from treue.store.shared_addresses import Shared
from treue.store.store import Store

BATCH = 5_000
BATCH_SIZE = 1 << 24
"""How many rows, and characters, are kept in one transaction."""

SOURCE = events.HISTORY
MAX_NOTES = 20
REFUSALS_TOLD = 10

Progress = Callable[[int], None]
"""Told how many rows have been read so far, after each batch."""


class Refusal(NamedTuple):
    """Why a row was set aside, and the line of the file that it begins in."""

    line: int
    reason: str


@dataclass
class ImportReport:
    """What an import came to. `rejected_file` holds the rows set aside; `notes` are sentences worth showing.

    Each of the file's `lines` is accounted for: `header`, `blank`, `continued` (it goes on with a row), and one for each
    row, which is `kept` or `rejected`. For customers `created + updated` may be less than `kept`: the rest was as it
    should be already. `placeholders` says in which columns something like NULL stood, and how often: that is no value.
    `shared` says how many customers have an address in common with others, in all the database, by channel. `refusals` are
    the first of all.
    """

    lines: int = 0
    header: int = 0
    blank: int = 0
    continued: int = 0
    read: int = 0
    created: int = 0
    updated: int = 0
    duplicates: int = 0
    consents: int = 0
    rejected: int = 0
    rejected_file: Path | None = None
    placeholders: Counter[str] = field(default_factory=Counter)
    shared: dict[str, Shared] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    more_notes: int = 0

    @property
    def kept(self) -> int:
        """How many rows are in the database."""
        return self.read - self.rejected

    def note(self, sentences: Iterable[str]) -> None:
        """Keep the first sentences, and count the others: a million odd rows need not make a million."""
        for sentence in sentences:
            if sentence in self.notes:
                continue
            if len(self.notes) < MAX_NOTES:
                self.notes.append(sentence)
            else:
                self.more_notes += 1


@dataclass(frozen=True)
class _Customer:
    customer: CustomerInput
    consents: tuple[ConsentInput, ...]


Record = TypeVar("Record")


@dataclass(frozen=True)
class _Import(Generic[Record]):
    """What differs between customers and events: how a row is read, and how a batch of them is kept."""

    naming: Naming
    read: Callable[[FileRow, dict[str, Any]], Record]
    keep: Callable[[Connection, Sequence[Record], ImportReport], Mapping[int, str]]
    """Returns why those that were not kept were not, by their place in the batch."""


@dataclass(frozen=True)
class _Reading:
    """How values of a file are read: times without an offset are local to `zone`, numbers and dates as `writing` has it."""

    zone: str
    writing: LocalWriting

    def moment(self, value: Any, column: str) -> datetime | None:
        """Return an instant. Raises RejectedInput where it is none."""
        try:
            told = self.writing.read(value, "time") if isinstance(value, str) else value
            return None if told is None else validation.moment(told, self.zone)
        except validation.Misfit as misfit:
            raise RejectedInput(f"{column}: {misfit}") from None

    def conform(self, values: dict[str, Any], declared: Mapping[str, str]) -> dict[str, Any]:
        """Return the values as their types keep them. Raises RejectedInput where one does not fit."""
        problems = []
        for name, value in values.items():
            if isinstance(value, str) and (kind := declared.get(name)) in KINDS:
                try:
                    values[name] = self.writing.read(value, kind)
                except validation.Misfit as misfit:
                    problems.append(f"{name}: {misfit}")
        if not problems:
            kept, problems = validation.conform(values, declared, self.zone)
        if problems:
            raise RejectedInput(" ".join(problems))
        return kept


def import_customers(
    store: Store,
    file: RowFile,
    mapping: Mapping[str, str],
    schema: Mapping[str, str],
    now: datetime,
    progress: Progress | None = None,
    *,
    zone: str = "UTC",
    locale: str = "en",
) -> ImportReport:
    """Create and merge customers from a file; `mapping` names the attribute of each column that is called otherwise.

    Columns: `id` (else `customer_id`, or `customer`), the built-in attributes, `consent` (channels, told with
    `consent_at`), the rest attributes, held against `schema`. An attribute named "" in the mapping leaves its column out.
    Without `consent_at` a consent counts only where the customer has said nothing yet, so that importing again never
    undoes an unsubscription. Numbers and dates may be written as `locale` does. Raises RejectedInput where the file as
    a whole cannot be read.
    """
    reading = _Reading(zone, LocalWriting(locale))

    def read(_row: FileRow, values: dict[str, Any]) -> _Customer:
        return _customer(values, schema, reading, file.name)

    def keep(connection: Connection, batch: Sequence[_Customer], report: ImportReport) -> Mapping[int, str]:
        merged = customers.merge(connection, [record.customer for record in batch], now)
        words = [word for record in batch for word in record.consents]
        dated = [word for word in words if word.at] + consents.untold(
            connection, [word for word in words if not word.at]
        )
        report.consents += consents.give(connection, dated, now)
        report.created += merged.created
        report.updated += merged.updated
        report.note(merged.notes)
        return {}

    naming = import_columns.of_customers(schema).naming(file, mapping)
    report = _run(store, file, _Import(naming, read, keep), progress)
    with store.reading() as connection:
        report.shared = shared_addresses.count(connection)
    return report


def import_events(
    store: Store,
    file: RowFile,
    mapping: Mapping[str, str],
    schema: Mapping[str, Mapping[str, str]],
    now: datetime,
    progress: Progress | None = None,
    *,
    zone: str = "UTC",
    locale: str = "en",
    event: str | None = None,
) -> ImportReport:
    """Record the events of a file; `mapping` names the property of each column that is called otherwise.

    Columns: `id`, `customer_id` (or `customer`), `event` (or every row is the one given), `at`, the rest properties, held
    against `schema`. An id that an event of the same name and customer has, with another content, sets the row aside.
    Without an id a row is known by its content and its line, so that importing the same file again records nothing
    twice. Times without an offset are local to `zone`; numbers and dates may be written as `locale` does. Raises
    RejectedInput where the file as a whole cannot be read.
    """
    reading = _Reading(zone, LocalWriting(locale))

    def read(row: FileRow, values: dict[str, Any]) -> EventInput:
        given = _event(row, values, schema, reading, event)
        if refusal := events.problem(given, now):
            raise RejectedInput(refusal)
        return given

    def keep(connection: Connection, batch: Sequence[EventInput], report: ImportReport) -> Mapping[int, str]:
        recorded = events.record(connection, batch, now, checked=True, set_aside=False)
        report.created += len(recorded.new_ids)
        report.duplicates += recorded.duplicates
        conflicts = [n for n, status in enumerate(recorded.statuses) if status is EventStatus.conflict]
        return {n: events.conflict(batch[n]) for n in conflicts}

    naming = import_columns.of_events(schema, event).naming(file, mapping)
    return _run(store, file, _Import(naming, read, keep), progress)


class _SettingAside:
    """Sets rows aside, in a file beside the imported one and in the report."""

    def __init__(self, file: RowFile, report: ImportReport) -> None:
        self._rejects, self._report = Rejects(file), report

    def add(self, row: FileRow, reason: str) -> None:
        """Set a row aside with its reason, a sentence."""
        self._rejects.add(row, reason)
        self._report.rejected, self._report.rejected_file = self._rejects.count, self._rejects.path
        if len(self._report.refusals) < REFUSALS_TOLD:
            self._report.refusals.append(Refusal(row.line, reason))

    def close(self) -> None:
        """Finish the file."""
        self._rejects.close()


def _run(store: Store, file: RowFile, job: _Import[Record], progress: Progress | None) -> ImportReport:
    report = ImportReport(lines=file.header, header=file.header, notes=file.notes)
    report.note(job.naming.notes)
    aside = _SettingAside(file, report)
    try:
        for batch in _batches(file.rows(job.naming.key)):
            rows = [row for row in batch if not row.blank]
            _keep(store, job, _readable(job, rows, aside, report), aside, report)
            lines = sum(row.lines for row in batch)
            report.read += len(rows)
            report.blank += len(batch) - len(rows)
            report.continued += lines - len(batch)
            report.lines += lines
            if progress:
                progress(report.read)
    except BROKEN as error:
        raise RejectedInput(
            f"{file.name} breaks off after {report.read} rows, which have been read: {error}. Import it again when it is "
            "whole."
        ) from error
    finally:
        aside.close()
    return report


def _batches(rows: Iterator[FileRow]) -> Iterator[list[FileRow]]:
    batch, size = list[FileRow](), 0
    for row in rows:
        batch.append(row)
        size += row.size
        if len(batch) >= BATCH or size > BATCH_SIZE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _readable(
    job: _Import[Record], rows: Sequence[FileRow], aside: _SettingAside, report: ImportReport
) -> list[tuple[FileRow, Record]]:
    good = []
    for row in rows:
        try:
            if row.problem:
                raise RejectedInput(row.problem)
            good.append((row, job.read(row, _named(row.values, job.naming.names, report.placeholders))))
        except RejectedInput as rejected:
            aside.add(row, str(rejected))
    return good


def _keep(
    store: Store,
    job: _Import[Record],
    batch: Sequence[tuple[FileRow, Record]],
    aside: _SettingAside,
    report: ImportReport,
) -> None:
    """Keep a batch in one transaction; where a row spoils it, set that one aside and keep the others."""
    if not batch:
        return
    try:
        with store.transaction() as connection:
            refused = job.keep(connection, [record for _, record in batch], report)
    except (RejectedInput, exc.DataError, exc.IntegrityError) as error:
        if len(batch) == 1:
            reason = (
                str(error) if isinstance(error, RejectedInput) else f"The database refused it: {error.orig}."
            )
            aside.add(batch[0][0], reason)
            return
        half = len(batch) // 2
        _keep(store, job, batch[:half], aside, report)
        _keep(store, job, batch[half:], aside, report)
        return
    for n, reason in refused.items():
        aside.add(batch[n][0], reason)


def _named(values: Mapping[str, Any], names: Mapping[str, str], placeholders: Counter[str]) -> dict[str, Any]:
    """Return the row's values, trimmed, under the names they are to have, without what is empty or left out."""
    named: dict[str, Any] = {}
    for column, value in values.items():
        name = names.get(column, column)
        if not name or value is None:
            continue
        if isinstance(value, str):
            value = value.strip() if value.isascii() else trimmed(value)
            if not value:
                continue
            if value in PLACEHOLDERS and is_placeholder(value, name):
                placeholders[name] += 1
                continue
        elif isinstance(value, float) and value != value:
            continue
        named[name] = value
    return named


def _customer(values: dict[str, Any], schema: Mapping[str, str], reading: _Reading, file: str) -> _Customer:
    key = _key(values.pop("id", None))
    created_at = reading.moment(values.pop("created_at", None), "created_at")
    said = _consents(key, values, reading, file)
    columns: dict[str, Any] = {name: _key(values.pop(name)) for name in customers.COLUMNS if name in values}
    attributes = reading.conform(_with_nested(values, "attributes"), schema)
    given = CustomerInput(key, **columns, attributes=attributes, created_at=created_at, source=SOURCE)
    if refusal := customers.problem(given):
        raise RejectedInput(refusal)
    return _Customer(given, said)


def _with_nested(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the values with those that stand together under a name of their own, which win."""
    nested = values.pop(name, {})
    if not isinstance(nested, dict):
        raise RejectedInput(
            f"{name}: {shown(str(nested))} is no JSON object; give each value a column of its own, or leave this one out: "
            f'--map "{name}=".'
        )
    return {**values, **nested}


def _consents(key: str, values: dict[str, Any], reading: _Reading, file: str) -> tuple[ConsentInput, ...]:
    told, at = values.pop("consent", ""), reading.moment(values.pop("consent_at", None), "consent_at")
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
    reading: _Reading,
    event: str | None,
) -> EventInput:
    name = _key(values.pop("event", None) or event)
    if schema and name not in schema:
        near = did_you_mean(name, schema) or "Declare it under `events`."
        raise RejectedInput(f"event: there is no event `{name}` in treue.yaml. {near}")
    at = reading.moment(values.pop("at", None), "at")
    if at is None:
        raise RejectedInput("at: the time of the event is missing.")
    id_ = values.pop("id", None)
    key = _content_key(row) if id_ is None else _key(id_)
    customer = _key(values.pop("customer_id", None))
    properties = reading.conform(_with_nested(values, "properties"), schema.get(name, {}))
    return EventInput(customer, name, at, properties, key, SOURCE)


def _content_key(row: FileRow) -> str:
    text = repr((row.line, sorted(row.values.items())))
    return "import:" + blake2b(text.encode(errors="backslashreplace"), digest_size=16).hexdigest()


def _key(value: Any) -> str:
    """Return an identifier as text; a table of numbers may have made 17850.0 of 17850."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else trimmed(str(value))

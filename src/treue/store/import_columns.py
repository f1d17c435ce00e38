"""What the columns of an imported file mean: which names are known, which must be there, and under which each is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from treue.errors import RejectedInput
from treue.model.states import BUILT_IN_ATTRIBUTES
from treue.store.row_files import RowFile
from treue.store.row_files.headers import Doubt, doubts

_CUSTOMER_KEYS = ("id", "customer_id", "customer")
_EVENT_KEYS = ("customer_id", "customer")
_DECLARE = "What is to be compared as a number or a date has to be declared, and imported again after that."


@dataclass(frozen=True)
class Need:
    """Something that every row has to say, in a column of one of these names."""

    names: tuple[str, ...]
    sentence: str
    option: str

    def missing(self, file: RowFile) -> str:
        """Return what to say of a file that has no such column."""
        return f"{file.name} has no column for {self.sentence}. Name the one that is: {self.option}."


@dataclass(frozen=True)
class Expected:
    """The columns that an import knows. The first of `keys` that a file has is kept under the first name of them."""

    keys: tuple[str, ...]
    own: frozenset[str]
    declared: frozenset[str]
    needs: tuple[Need, ...]

    @property
    def known(self) -> frozenset[str]:
        """All names that mean something."""
        return self.own | self.declared | frozenset(self.keys)

    def doubts(self, file: RowFile, mapping: Mapping[str, str]) -> list[Doubt]:
        """Return the columns that are most likely known ones, spelt otherwise."""
        return doubts(file.columns, mapping, self.known)

    def missing(self, file: RowFile, mapping: Mapping[str, str]) -> list[str]:
        """Return a sentence for each thing that no column says."""
        names = {mapping.get(column, column) for column in file.columns}
        return [need.missing(file) for need in self.needs if file.columns and not names & set(need.names)]

    def naming(self, file: RowFile, mapping: Mapping[str, str]) -> Naming:
        """Return under which name each column is kept. Raises RejectedInput where two would have one name."""
        names = {column: mapping.get(column, column) for column in file.columns}
        key = next((name for name in self.keys if name in names.values()), self.keys[0])
        _refuse_two_of_a_name(file, names)
        renamed = dict(mapping) | {column: self.keys[0] for column, name in names.items() if name == key}
        place = next((n for n, column in enumerate(file.columns) if names[column] == key), None)
        meant = self.own | self.declared | {"", key}
        undeclared = [name for name in dict.fromkeys(names.values()) if name not in meant]
        return Naming(renamed, place, tuple(undeclared) if self.declared else ())


@dataclass(frozen=True)
class Naming:
    """The names under which columns are kept that are called otherwise ("" leaves one out), and the place of the key."""

    names: Mapping[str, str]
    key: int | None
    undeclared: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """Return a sentence about what treue.yaml does not declare."""
        if not self.undeclared:
            return []
        named = ", ".join(f"`{name}`" for name in self.undeclared)
        return [f"Not declared in treue.yaml, and kept as it stands: {named}. {_DECLARE}"]


def of_customers(schema: Mapping[str, str]) -> Expected:
    """Return the columns of a file of customers whose attributes are declared so."""
    own = {*BUILT_IN_ATTRIBUTES, "consent", "consent_at", "attributes"}
    key = Need(_CUSTOMER_KEYS, "the customer's id", '--map "COLUMN=id"')
    return Expected(_CUSTOMER_KEYS, frozenset(own), frozenset(schema), (key,))


def of_events(schema: Mapping[str, Mapping[str, str]], event: str | None = None) -> Expected:
    """Return the columns of a file of events with these properties; all are the one `event`, where it is named."""
    needs = [
        Need(_EVENT_KEYS, "the customer", '--map "COLUMN=customer_id"'),
        Need(("at",), "when it happened", '--map "COLUMN=at"'),
    ]
    if not event:
        option = '--map "COLUMN=event"; or all are one event: --event NAME'
        needs.append(Need(("event",), "which event it is", option))
    properties = {name for kind in ([event] if event else schema) for name in schema.get(kind, {})}
    own = {"id", "event", "at", "properties"}
    return Expected(_EVENT_KEYS, frozenset(own), frozenset(properties), tuple(needs))


def _refuse_two_of_a_name(file: RowFile, names: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for column in file.columns:
        name = names[column]
        if name and name in seen:
            raise RejectedInput(_twice(file, seen[name], column, name))
        seen[name] = column


def _twice(file: RowFile, first: str, second: str, name: str) -> str:
    if first == second:
        return f"{file.name} has the column {first!r} twice; rename one of them."
    return f'{file.name} has two columns for `{name}`, {first!r} and {second!r}; leave one out: --map "{second}=".'


def unknown(file: RowFile, mapping: Mapping[str, str]) -> Sequence[str]:
    """Return the columns that are mapped and not there; of JSON lines that cannot be told."""
    return [] if file.format == "jsonl" else [column for column in mapping if column not in file.columns]

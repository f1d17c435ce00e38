"""JSON from outside to what the store takes: every misfit is found and named by its place, nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from treue.language.grammar import Schema
from treue.language.problems import did_you_mean
from treue.model.states import BUILT_IN_ATTRIBUTES, CHANNELS, Basis
from treue.store import customers, events, validation
from treue.store.addresses import shown
from treue.store.consents import EXISTING_CUSTOMER_FACTS
from treue.store.inputs import ConsentInput, CustomerInput, EventInput
from treue.web import schemas
from treue.web.problems import BodyError, HttpProblem

_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_ADDRESSES = ("email", "phone", "push_token", "locale", "timezone")
_NO_PROOF = schemas.CONSENT["properties"].keys() - {"wording"}
_KINDS: Mapping[str, tuple[type, str]] = {
    "string": (str, "a text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "object": (dict, "an object"),
    "array": (list, "a list"),
    "null": (type(None), "null"),
}
"""What JSON's types are in Python, and how they are called in a sentence."""


@dataclass(frozen=True)
class ConsentChanges:
    """What a customer said about channels: consents and withdrawals."""

    given: tuple[ConsentInput, ...] = ()
    withdrawn: tuple[ConsentInput, ...] = ()


@dataclass(frozen=True)
class Reader:
    """Reads documents by a workspace's schema. Times without an offset are local to `zone`."""

    schema: Schema
    zone: str
    source: str = "api"

    def event(
        self, item: Mapping[str, Any], at: str, found: list[BodyError], now: datetime
    ) -> EventInput | None:
        """Return one event, or None after adding what is wrong with it to `found`."""
        before = len(found)
        item, typed = fitting(item, schemas.EVENT, "an event", at, found)
        name = item.get("event", item.get("name"))
        when = self.moment(item.get("at"), f"{at}/at", found)
        given = EventInput(
            customer=_key(item.get("customer", item.get("customer_id"))),
            name=name or "",
            at=when,
            properties=self.properties(name, item.get("properties"), f"{at}/properties", found),
            key=_key(item["id"]) if item.get("id") is not None else uuid4().hex,
            source=self.source,
        )
        if typed:
            found += [BodyError(at, text) for text in _event_problems(given, self.schema, now)]
        return given if len(found) == before else None

    def properties(
        self, name: str | None, values: Mapping[str, Any] | None, at: str, found: list[BodyError]
    ) -> dict[str, Any]:
        """Return an event's properties as their declared types keep them."""
        return self._conformed(values, self.schema.events.get(name or "", {}), at, found)

    def customer(self, item: Mapping[str, Any], at: str, found: list[BodyError]) -> CustomerInput | None:
        """Return one customer without the consents, or None after adding what is wrong to `found`.

        A null removes a value.
        """
        before = len(found)
        item, typed = fitting(item, schemas.CUSTOMER, "a customer", at, found)
        attributes = self._conformed(
            item.get("attributes"), self.schema.attributes, f"{at}/attributes", found
        )
        for name in sorted(attributes.keys() & BUILT_IN_ATTRIBUTES.keys()):
            text = f"`{name}` is built in and is no attribute; addresses stand beside `attributes`."
            found.append(BodyError(f"{at}/attributes/{_escaped(name)}", text))
        columns: dict[str, Any] = {name: item[name] or "" for name in _ADDRESSES if name in item}
        given = CustomerInput(_key(item.get("id")), **columns, attributes=attributes, source=self.source)
        if typed and (problem := customers.problem(given)):
            found.append(BodyError(at, problem))
        return given if len(found) == before else None

    def words(
        self, customer: str, said: Any, at: str, found: list[BodyError], now: datetime
    ) -> ConsentChanges:
        """Return the consents under `consent`: a mapping by channel, or a list with `channel` in each.

        What is neither is a misfit of the customer's (`customer`), and says nothing here.
        """
        entries: list[tuple[str, Any, Any]] = []
        if isinstance(said, Mapping):
            entries = [(f"{at}/{_escaped(name)}", name, word) for name, word in said.items()]
        elif isinstance(said, list):
            entries = [
                (f"{at}/{n}", word.get("channel") if isinstance(word, Mapping) else None, word)
                for n, word in enumerate(said)
            ]
        given: dict[bool, list[ConsentInput]] = {True: [], False: []}
        for place, channel, word in entries:
            if made := self._word(customer, channel, word, place, found, now):
                given[made[0]].append(made[1])
        return ConsentChanges(tuple(given[True]), tuple(given[False]))

    def moment(self, value: Any, at: str, found: list[BodyError]) -> datetime | None:
        """Return the instant a text means, or None where there is none."""
        if value is None:
            return None
        try:
            return validation.moment(value, self.zone)
        except validation.Misfit as misfit:
            found.append(BodyError(at, str(misfit)))
            return None

    def _conformed(
        self, values: Mapping[str, Any] | None, declared: Mapping[str, str], at: str, found: list[BodyError]
    ) -> dict[str, Any]:
        kept, problems = validation.conform(values or {}, declared, self.zone)
        found += [BodyError(at, problem) for problem in problems]
        return kept

    def _word(
        self, customer: str, channel: Any, word: Any, at: str, found: list[BodyError], now: datetime
    ) -> tuple[bool, ConsentInput] | None:
        if word is False:
            word = {"given": False}
        if not isinstance(word, Mapping):
            text = "A consent is an object with `given`, `at`, `source` and the wording; a bare yes proves nothing."
            found.append(BodyError(at, text))
            return None
        word, typed = fitting(word, schemas.CONSENT, "a consent", at, found)
        given, source = word.get("given", True), word.get("source")
        when = self.moment(word.get("at"), f"{at}/at", found)
        proof = {name: value for name, value in word.items() if name not in _NO_PROOF}
        proof |= word.get("proof") or {}
        made = ConsentInput(
            customer=customer,
            channel=channel if isinstance(channel, str) else "",
            at=when,
            basis=word.get("basis", Basis.consent.value),
            source=source or self.source,
            proof=validation.plain(proof),
        )
        problems = _word_problems(made, given, source, now) if typed else []
        found += [BodyError(at, problem) for problem in problems]
        return None if problems or not typed else (given, made)


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body. Raises HttpProblem (400) where it is none that every database can keep."""
    if not body.strip():
        raise HttpProblem(400, "The body is empty; it should be JSON.")
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
        if _HALF_CHARACTER.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise HttpProblem(400, "The body is nested too deeply.") from None
    except UnicodeError:
        raise HttpProblem(400, "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise HttpProblem(400, f"The body is not JSON: {error.msg} at {where}.") from None
    except ValueError as error:
        raise HttpProblem(400, f"The body is not JSON: {error}.") from None
    return value


def fitting(
    item: Mapping[str, Any], schema: Mapping[str, Any], what: str, at: str, found: list[BodyError]
) -> tuple[dict[str, Any], bool]:
    """Return the fields of an object that are of their types, and whether all are, after adding misfits to `found`.

    What is no field is a misfit as well, but where the schema takes more it is returned as it is.
    """
    fields, kept, typed = schema["properties"], dict[str, Any](), True
    for name, value in item.items():
        if name in fields and not _is_typed(value, fields[name]):
            typed = False
            found.append(BodyError(f"{at}/{_escaped(name)}", f"`{name}` is {_named(fields[name])}."))
        elif name in fields or schema["additionalProperties"]:
            kept[name] = value
        else:
            hint = did_you_mean(name, fields) or ""
            text = f"There is no key {shown(name)} in {what}. {hint}".rstrip()
            found.append(BodyError(f"{at}/{_escaped(name)}", text))
    return kept, typed


def read_object(body: bytes, schema: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the fields of a body that is one object. Raises HttpProblem where it does not fit its schema."""
    value, found = parsed(body), list[BodyError]()
    if not isinstance(value, dict) or not value.keys() >= set(schema["required"]):
        raise HttpProblem(422, f"The body is an object such as {json.dumps(schema['example'])}.")
    kept, _ = fitting(value, schema, what, "", found)
    if found:
        raise refused(found)
    return kept


def _types(field: Mapping[str, Any]) -> Sequence[str]:
    told = field["type"]
    return [told] if isinstance(told, str) else told


def _is_typed(value: Any, field: Mapping[str, Any]) -> bool:
    if "type" not in field:
        return True
    if isinstance(value, bool):
        return "boolean" in _types(field)
    return any(isinstance(value, _KINDS[kind][0]) for kind in _types(field))


def _named(field: Mapping[str, Any]) -> str:
    return " or ".join(_KINDS[kind][1] for kind in _types(field))


def items(value: Any, what: str) -> list[Mapping[str, Any]]:
    """Return one object or a batch of up to 1,000 as a list of objects. Raises HttpProblem (422)."""
    batch = value if isinstance(value, list) else [value]
    if not batch:
        raise HttpProblem(422, f"The batch is empty; send at least one {what}.")
    if len(batch) > schemas.MAX_BATCH:
        raise HttpProblem(
            422, f"The batch has {len(batch)} entries; send at most {schemas.MAX_BATCH} at once."
        )
    wrong = [n for n, item in enumerate(batch) if not isinstance(item, dict)]
    if wrong:
        raise refused([BodyError(f"/{n}", f"This is no object; {what}s are objects.") for n in wrong])
    return batch


def place(value: Any, n: int) -> str:
    """Return the JSON pointer of a batch's n-th entry, empty where the body is one object."""
    return f"/{n}" if isinstance(value, list) else ""


def refused(found: Sequence[BodyError]) -> HttpProblem:
    """Return the problem that lists what was found."""
    first = found[0]
    where = f"{first.pointer}: " if first.pointer else ""
    more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
    return HttpProblem(422, f"Nothing was kept. {where}{first.detail}{more}", list(found))


def read_events(reader: Reader, body: bytes, now: datetime) -> list[EventInput]:
    """Return the events of a body. Raises HttpProblem where the body or any event does not fit."""
    value = parsed(body)
    found: list[BodyError] = []
    read = [reader.event(item, place(value, n), found, now) for n, item in enumerate(items(value, "event"))]
    if found:
        raise refused(found)
    return [event for event in read if event is not None]


def read_customers(reader: Reader, body: bytes, now: datetime) -> tuple[list[CustomerInput], ConsentChanges]:
    """Return the customers of a body and what they said. Raises HttpProblem where anything does not fit."""
    value = parsed(body)
    found: list[BodyError] = []
    given, words = [], ConsentChanges()
    for n, item in enumerate(items(value, "customer")):
        at = place(value, n)
        customer = reader.customer(item, at, found)
        said = reader.words(_key(item.get("id")), item.get("consent"), f"{at}/consent", found, now)
        words = replace(words, given=words.given + said.given, withdrawn=words.withdrawn + said.withdrawn)
        if customer:
            given.append(customer)
    if found:
        raise refused(found)
    return given, words


def event_name_problem(name: str, schema: Schema) -> str | None:
    """Return why there is no such event, with the nearest names, or None."""
    if name == "customer.created":
        return "`customer.created` is recorded by Treue itself; post the customer to /v1/customers."
    if name in schema.events:
        return None
    hint = did_you_mean(name, [known for known in schema.events if known != "customer.created"])
    return f"The event {shown(name)} is not declared in treue.yaml. {hint or ''}".rstrip()


def _event_problems(given: EventInput, schema: Schema, now: datetime) -> list[str]:
    problem = events.problem(given, now)
    if not problem and given.key and given.key.startswith("treue:"):
        problem = "The event's id begins with `treue:`, which is kept for Treue's own events."
    problem = problem or event_name_problem(given.name, schema)
    if not problem and given.name == "consent.given":
        proof = given.properties.get("proof")
        facts = proof if isinstance(proof, dict) else given.properties
        problem = _existing_customer_problem(str(given.properties.get("basis")), facts)
    return [problem] if problem else []


def _word_problems(made: ConsentInput, given: bool, source: str | None, now: datetime) -> list[str]:
    problems = []
    if made.channel not in CHANNELS:
        problems.append(f"A consent names a channel, one of {', '.join(CHANNELS)}.")
    if given and not (source and source.strip()):
        problems.append("A consent needs `source`: where it was given. Without that it proves nothing.")
    if made.basis not in tuple(Basis):
        problems.append(f"`basis` is one of {', '.join(Basis)}.")
    if made.at and made.at - now > events.CLOCK_SKEW:
        problems.append(f"The consent lies in the future ({made.at.isoformat()}); check the sender's clock.")
    bounded = validation.bounded({"source": made.source, "proof": made.proof}, "The consent")
    problem = bounded or (given and _existing_customer_problem(made.basis, made.proof)) or None
    return [*problems, problem] if problem else problems


def _existing_customer_problem(basis: str, proof: Mapping[str, Any]) -> str | None:
    missing = [fact for fact in EXISTING_CUSTOMER_FACTS if not proof.get(fact)]
    if basis != Basis.existing_customer or not missing:
        return None
    return f"The basis existing_customer needs proof of {', '.join(missing)} (UWG section 7 (3))."


def _key(value: Any) -> str:
    """Return an identifier: a text, or a whole number as text; anything else is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 256:
        return str(value)
    return value if isinstance(value, str) else ""


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")[:100]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")

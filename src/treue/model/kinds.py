"""Classes told apart by their `kind`, so that a stored document finds the class it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

UNSTORED = {"stored": False}
"""Metadata of a dataclass's field that is no part of a stored document."""


class Kinds(Protocol):
    """What a reader of stored documents must know: the classes of each sort, by kind."""

    def classes(self, sort: str) -> Mapping[str, type[Any]]:
        """Return the classes of a sort (`condition`, `stage`) by their kinds."""


class UnknownKindError(LookupError):
    """A stored document has a kind that no installed word has."""

    def __init__(self, sort: str, kind: str) -> None:
        super().__init__(f"There is no {sort} `{kind}`; the package that brings it is not installed.")
        self.sort, self.kind = sort, kind


class Kinded:
    """The base of a sort of frozen dataclasses, each with a field `kind` of its own.

    A subclass that names its `sort` is the sort's abstract base: a field of its type is read as the class of its
    document's kind, looked up among the `Kinds` that are the context of the validation.
    """

    sort: ClassVar[str]

    if TYPE_CHECKING:

        @property
        def kind(self) -> str:
            """The kind, a field of each subclass."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Return pydantic's schema: for a sort's base one that looks at the kind."""
        if "sort" not in cls.__dict__:
            return handler(source)
        from pydantic_core import core_schema

        def read(value: Any, info: Any) -> Any:
            return value if isinstance(value, cls) else from_document(cls.sort, value, info.context)

        return core_schema.with_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(to_document)
        )


def to_document(value: Any) -> dict[str, Any]:
    """Return what is stored of one: plain JSON values."""
    type_: Any = type(value)
    found: dict[str, Any] = adapter(type_).dump_python(value, mode="json")
    for name in _unstored(type_):
        found.pop(name)
    return found


def from_document(sort: str, document: Mapping[str, Any], kinds: Kinds) -> Any:
    """Return what a document was made from.

    Raises UnknownKindError where no word has its kind, pydantic's ValidationError where it does not fit its class.
    """
    known, kind = kinds.classes(sort), str(document.get("kind"))
    if kind not in known:
        raise UnknownKindError(sort, kind)
    type_: Any = known[kind]
    return adapter(type_).validate_python(document, context=kinds)


@cache
def adapter(type_: Any) -> Any:
    """Return pydantic's adapter of a class, made once."""
    from pydantic import TypeAdapter

    return TypeAdapter(type_)


@cache
def _unstored(type_: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(type_) if one.metadata.get("stored") is False)

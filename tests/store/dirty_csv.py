"""CSV files as bad as people have them, with what is right of each row: made by hypothesis, a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

NAMES = ("Ada", "Jörg", "O'Neil", "李", "Mary-Jane", "2 Ann", "Zoë")


@dataclass(frozen=True)
class Piece:
    """Some lines of a file: what they look like, the ids in them, and the first name of each that may come in."""

    text: str
    names: dict[str, str]


@dataclass(frozen=True)
class DirtyFile:
    """A file, and what its rows say: nothing else may be in the database afterwards."""

    content: bytes
    names: dict[str, str]
    ids: tuple[str, ...]

    @property
    def lines(self) -> int:
        """How many lines it has, counted without any reader of CSV."""
        text = self.content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return text.count(b"\n") + (not text.endswith(b"\n"))


def files(prefix: str, mark: str = ";") -> st.SearchStrategy[DirtyFile]:
    """Make files whose ids begin with a prefix of their own."""
    kinds = st.sampled_from(sorted(_KINDS))
    ends = st.sampled_from(["\n", "\r\n", "\r"])
    return st.builds(
        lambda chosen, names, end, last: _file(prefix, mark, chosen, names, end, last),
        st.lists(kinds, min_size=1, max_size=14),
        st.lists(st.sampled_from(NAMES), min_size=14, max_size=14),
        ends,
        st.booleans(),
    )


def _file(prefix: str, mark: str, chosen: list[str], names: list[str], end: str, last: bool) -> DirtyFile:
    pieces, ids = [], []
    for n, (kind, name) in enumerate(zip(chosen, names, strict=False)):
        id_ = f"{prefix}{n}"
        pieces.append(_KINDS[kind](id_, name))
        ids += [id_] if id_ in pieces[-1].text else []
    text = "\n".join(["id,email,first_name", *(piece.text for piece in pieces)]) + ("\n" if last else "")
    told = {id_: name for piece in pieces for id_, name in piece.names.items()}
    content = text.replace(",", mark).replace("\n", end).encode("utf-8", "surrogateescape")
    return DirtyFile(content, told, tuple(ids))


def _row(id_: str, cell: str, name: str | None) -> Piece:
    return Piece(f"{id_},{id_}@example.com,{cell}", {id_: name} if name is not None else {})


_KINDS = {
    "good": lambda id_, name: _row(id_, name, name),
    "quoted": lambda id_, name: _row(id_, f'"{name}"', name),
    "quoted in blanks": lambda id_, name: _row(id_, f' "{name}" ', name),
    "marks within": lambda id_, name: _row(id_, f'"{name} ""Ace"" X"', f'{name} "Ace" X'),
    "marks in plain text": lambda id_, name: _row(id_, f'{name} "Ace" X', f'{name} "Ace" X'),
    "inches": lambda id_, name: _row(id_, f'{name} 24"', f'{name} 24"'),
    "in blanks": lambda id_, name: _row(id_, f"\u00a0{name}\u200b ", name),
    "over two lines": lambda id_, name: _row(id_, f'"{name}\nand company"', f"{name}\nand company"),
    "with a row inside": lambda id_, name: Piece(
        f'{id_},{id_}@example.com,"{name}\n{id_}x,{id_}x@example.com,Eve"', {f"{id_}x": "Eve"}
    ),
    "no first name": lambda id_, name: _row(id_, "#N/A", ""),
    "a mark opened": lambda id_, name: _row(id_, f'"{name}', None),
    "a mark closed": lambda id_, name: _row(id_, f'{name}"', None),
    "text after the mark": lambda id_, name: _row(id_, f'"{name}" Smith"', None),
    "a mark before the id": lambda id_, name: Piece(f'"{id_},{id_}@example.com,{name}', {}),
    "too short": lambda id_, name: Piece(f"{id_},{id_}@example.com", {}),
    "too long": lambda id_, name: Piece(f"{id_},{id_}@example.com,{name},more", {}),
    "trailing": lambda id_, name: Piece(f"{id_},{id_}@example.com,{name},,", {id_: name}),
    "no id": lambda id_, name: Piece(f"NULL,{id_}@example.com,{name}", {}),
    "no address": lambda id_, name: Piece(f"{id_},nowhere,{name}", {}),
    "a stray byte": lambda id_, name: _row(id_, "M\udcfcller", "Müller"),
    "nul": lambda id_, name: Piece(f"{id_},{id_}@example.com,{name}\0", {}),
    "brackets": lambda id_, name: _row(id_, "[" * 9_000, "[" * 9_000),
    "blank": lambda id_, name: Piece("", {}),
    "blank cells": lambda id_, name: Piece(", \u00a0,", {}),
}  # fmt: skip

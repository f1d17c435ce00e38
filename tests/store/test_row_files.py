"""Reading files as people have them: what each row says, and what is said of those that cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treue.errors import RejectedInput
from treue.store.row_files import FileRow, Rejects, recognise
from treue.store.row_files.cells import is_placeholder, trimmed
from treue.store.row_files.csv_rows import _Cutting
from treue.store.row_files.defusing import as_before, defused
from treue.store.row_files.headers import doubts
from treue.store.row_files.lines import MAX_LINE
from treue.store.row_files.local_writing import LocalWriting
from treue.store.validation import Misfit

PEOPLE = "id,email,first_name\n"


def rows(path: Path, content: str | bytes, name: str = "k.csv") -> list[FileRow]:
    (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(recognise(path / name).rows(0))


def good(found: list[FileRow]) -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in found if not row.problem and not row.blank]


def problems(found: list[FileRow]) -> dict[int, str]:
    return {row.line: row.problem for row in found if row.problem}


# --- quotation marks ------------------------------------------------------------------------------------------


def test_a_mark_that_nothing_closes_costs_its_own_line_alone(tmp_path):
    found = rows(tmp_path, PEOPLE + '1,a@x.de,"Ida\n2,b@x.de,Uwe\n3,c@x.de,"Oda"\n4,d@x.de,Kai\n')
    assert [row[0] for row in good(found)] == ["2", "3", "4"]
    assert list(problems(found)) == [2]
    assert "Cell 3 begins with a quotation mark that is not closed ('Ida')" in problems(found)[2]


@pytest.mark.parametrize("key", ["{}", "k{}", "u-{}@shop.example", "3f{}a-9c"])
def test_two_stray_marks_with_rows_between_them_make_no_cell_of_these(tmp_path, key):
    one, two, three = (key.format(n) for n in (1, 2, 3))
    text = f'{PEOPLE}{one},a@x.de,"Ida\n{two},b@x.de,Uwe\n{three},c@x.de,Oda"\n9,d@x.de,Kai\n'
    found = rows(tmp_path, text)
    assert good(found) == [("9", "d@x.de", "Kai")]
    assert list(problems(found)) == [2, 3, 4]
    assert "the lines 2 to 4 are one row, but they look like several" in problems(found)[3]


def test_a_cell_that_goes_over_lines_stays_one(tmp_path):
    found = rows(tmp_path, 'id,address\n1,"Hafenstr. 1\r\n20457 Hamburg\r\n"\n\n2,"x"\n')
    assert good(found) == [("1", "Hafenstr. 1\n20457 Hamburg\n"), ("2", "x")]
    assert [(row.line, row.lines, row.blank) for row in found] == [(2, 3, False), (5, 1, True), (6, 1, False)]


def test_what_is_no_quoting_is_text(tmp_path):
    found = rows(tmp_path, PEOPLE + '1,,24" wide\n2,, "in, blanks" \n3,,the "Ace" of\n4,,"""Ace"""\n')
    assert [row[2].strip() for row in good(found)] == ['24" wide', "in, blanks", 'the "Ace" of', '"Ace"']


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('1,"a" b",c', "the text ' b' comes after the closing quotation mark"),
        ('1,a,Uwe"', "Cell 3 ends with a quotation mark that is not opened"),
        ('1,a,"""Uwe"', "Cell 3 begins with a quotation mark that is not closed"),
        ('1,"a,Uwe', "Cell 2 begins with a quotation mark that is not closed"),
    ],
)
def test_a_line_with_odd_marks_is_set_aside_with_what_is_odd(tmp_path, line, sentence):
    found = rows(tmp_path, f"{PEOPLE}{line}\n2,b,c\n")
    assert sentence in problems(found)[2]
    assert good(found) == [("2", "b", "c")]


@given(
    st.lists(st.lists(st.text("ab,;\"\n '\t=", max_size=6), min_size=2, max_size=4), min_size=1, max_size=4)
)
def test_cells_are_cut_as_the_standard_library_writes_them(table):
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    found, cutting = [], _Cutting(",")
    for line in stream.getvalue().split("\n")[:-1]:
        if cutting.inside is not None:
            cutting.inside.append("\n")
        cutting.feed(line)
        assert not cutting.problem
        if cutting.inside is None:
            found.append(cutting.cells)
            cutting = _Cutting(",")
    assert found == table


# --- headers and delimiters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "header"),
    [
        ('"id","first\nname"\n1,Ada\n', ("id", "first name"), 2),
        ('"id","first\r\n  name "\r\n1,Ada\r\n', ("id", "first name"), 2),
        ("sep=|\nid|first name\n1|Ada\n", ("id", "first name"), 2),
        ("SEP=\t\nid\tfirst name\n1\tAda\n", ("id", "first name"), 2),
        ("sep=;\nid,first name\n1,Ada\n", ("id", "first name"), 2),
        ("\n\u00a0\nid, first name \n1,Ada\n", ("id", "first name"), 3),
        ("id;first name;;\n1;Ada;;\n", ("id", "first name"), 1),
        ("id;first name\n1;Ada;;\n", ("id", "first name"), 1),
        ("\ufeffid|\u200bfirst\u00a0name\n1|Ada\n", ("id", "first name"), 1),
        ("id,first name\r1,Ada\r", ("id", "first name"), 1),
    ],
)
def test_a_header_is_read_however_it_is_written(tmp_path, text, columns, header):
    (tmp_path / "k.csv").write_bytes(text.encode())
    file = recognise(tmp_path / "k.csv")
    assert (file.columns, file.header) == (columns, header)
    assert good(list(file.rows())) == [("1", "Ada")]


def test_the_delimiter_is_the_one_that_the_rows_agree_with(tmp_path):
    found = rows(tmp_path, "id;Name, Vorname;Preis\n1;Lovelace, Ada;1,50\n2;Zuse, Konrad;2,50\n")
    assert good(found) == [("1", "Lovelace, Ada", "1,50"), ("2", "Zuse, Konrad", "2,50")]


def test_rows_of_another_length_are_set_aside_unless_what_is_too_much_is_blank(tmp_path):
    found = rows(tmp_path, PEOPLE + "1,a\n2,a,b,c\n3,a,b,\u00a0,\n4,a,b\n")
    assert problems(found) == {
        2: "The line has 2 cells, the header has 3: write a `,` also where a cell is empty.",
        3: "The line has 4 cells, the header has 3: put a value with a `,` in it into quotation marks.",
    }
    assert len(good(found)) == 2


def test_a_value_in_a_column_without_a_name_is_not_dropped(tmp_path):
    found = rows(tmp_path, ",id,email\n0,1,a@x.de\n,2,b@x.de\n")
    assert "Cell 1 says '0', and its column has no name" in problems(found)[2]
    assert good(found) == [("", "2", "b@x.de")]


KNOWN = ("id", "email", "phone", "first_name", "last_name", "total_spent", "country")


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("Email", "email"), ("E-Mail-Adresse", "email"), ("First Name", "first_name"), ("firstName", "first_name"),
        ("Vorname", "first_name"), ("emial", "email"), ("Total Spend", "total_spent"), ("Kundennummer", "id"),
        ("plan", None), ("email2", None), ("address", None), ("company", None), ("city", None),
    ],
)  # fmt: skip
def test_a_column_that_is_nearly_known_is_doubted(column, name):
    found = doubts([column], {}, KNOWN)
    assert [one.name for one in found] == ([name] if name else [])
    assert doubts([column], {column: column}, KNOWN) == [], "it was said what it means"


def test_a_column_like_another_that_is_there_is_doubted_only_where_it_has_its_very_name():
    assert [(one.column, one.name) for one in doubts(["email", "E-Mail", "mail"], {}, KNOWN)] == [
        ("E-Mail", "")
    ]


# --- encodings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_what_excel_writes_is_read(tmp_path, encoding):
    found = rows(tmp_path, "id;first_name\r\n1;Zoë – Größe\r\n".encode(encoding))
    assert good(found) == [("1", "Zoë – Größe")]


def test_a_stray_byte_costs_its_line_and_makes_no_other_encoding_of_the_rest(tmp_path):
    found = rows(tmp_path, "id,first_name\n1,Zoë\n2,J".encode() + b"\xfcrgen\n3,Bj\xc3\xb6rk\n")
    assert good(found) == [("1", "Zoë"), ("3", "Björk")]
    assert "has a character that cannot be read" in problems(found)[3]


# --- what is too large, or no table ---------------------------------------------------------------------------


def test_a_huge_cell_in_a_packed_file_is_set_aside_in_little_memory(tmp_path):
    with gzip.open(tmp_path / "k.csv.gz", "wb", compresslevel=1) as packed:
        packed.write(b"id,note\n1,short\n2,")
        for _ in range(100):
            packed.write(b"x" * (1 << 20))
        packed.write(b"\n3,short\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = list(recognise(tmp_path / "k.csv.gz").rows())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"
    assert good(found) == [("1", "short"), ("3", "short")]
    assert f"longer than {MAX_LINE:,} characters" in problems(found)[3]
    assert sum(map(len, found[1].cells)) <= 1_000


def test_a_line_that_never_ends_is_refused_before_the_first_row(tmp_path):
    with gzip.open(tmp_path / "k.csv.gz", "wb", compresslevel=1) as packed:
        packed.write(b"id,note\n1,")
        for _ in range(260):
            packed.write(bytes(1 << 20))
    with pytest.raises(RejectedInput, match="goes on for more than 256 million characters"):
        recognise(tmp_path / "k.csv.gz")


def test_a_cell_that_opens_and_swallows_a_megabyte_gives_the_lines_back(tmp_path):
    text = PEOPLE + '0,a,"Ida\n' + "".join(f"{n},b@x.de,Uwe {'x' * 90}\n" for n in range(1, 10_000))
    found = rows(tmp_path, text)
    assert list(problems(found)) == [2]
    assert len(good(found)) == 9_999


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("k.xlsx", b"PK\x03\x04", "is a workbook, not a table of text. .*save the sheet as CSV"),
        ("k.csv", b"PK\x03\x04...", "is a workbook"),
        ("k.xls", b"\xd0\xcf\x11\xe0", "is a workbook"),
        ("k.zip", b"PK\x03\x04", "Unpack it first"),
        ("k.csv", b"", "is empty"),
        ("k.csv", b"\n \n;;\n", "is empty"),
        ("k.csv", b"\xef\xbb\xbf", "is empty"),
        ("k.csv", b'id,"email\n1,a@x.de\n', "line 1: the header cannot be read. Cell 2 begins"),
        (
            "k.csv.gz",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff nothing",
            "is damaged|cannot be read|cut off",
        ),
        ("k.json", b'[{"id": 1},\n{"id": 2}]', "is one JSON array; JSON lines have an object a line"),
    ],
)
def test_what_is_no_table_is_refused_with_the_remedy(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RejectedInput, match=sentence):
        recognise(tmp_path / name)


def test_folders_pipes_and_loops_are_said_to_be_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path, sentence in (
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.csv", "is no file but a pipe or a device"),
        (tmp_path / "loop.csv", "cannot be read: Too many levels"),
        (tmp_path / "none.csv", "There is no file"),
    ):
        with pytest.raises(RejectedInput, match=sentence):
            recognise(path)


# --- cells ----------------------------------------------------------------------------------------------------


def test_blanks_of_every_kind_are_trimmed_and_those_within_stay():
    assert trimmed("\u00a0\u200b\ufeff\u2009 Ann\u00a0B \t\u3000\u200d\r") == "Ann\u00a0B"


@pytest.mark.parametrize(
    "text", ["NULL", "null", "Null", "#N/A", "n/a", "N/A", "-", "–", "nan", "NaN", "#NV", "None", "NA"]
)
def test_placeholders_say_nothing(text):
    assert is_placeholder(text, "first_name")


def test_names_and_countries_are_no_placeholders():
    assert not any(
        is_placeholder(text, "first_name") for text in ("Nullmeier", "Na", "none", "0", "nil-1", "--x")
    )
    assert not is_placeholder("NA", "country")


@pytest.mark.parametrize(
    ("locale", "kind", "text", "read"),
    [
        ("de", "number", "1.234,50", "1234.50"), ("de", "number", "-0,5", "-0.5"), ("de", "number", "19.90", "19.90"),
        ("de", "number", "1.234.567", "1234567"), ("de", "number", "0.125", "0.125"), ("de", "number", "7", "7"),
        ("fr", "number", "1 234,5", "1234.5"), ("de-CH", "number", "1’234.50", "1234.50"),
        ("en", "number", "1,234.50", "1234.50"), ("de", "number", "viel", "viel"),
        ("de", "date", "1.2.2026", "2026-02-01"), ("de-AT", "date", "31.12.1999", "1999-12-31"),
        ("en-GB", "date", "3/4/2026", "2026-04-03"), ("en-US", "date", "3/4/2026", "2026-03-04"),
        ("nl", "date", "03-04-2026", "2026-04-03"), ("de", "date", "1999-12-31", "1999-12-31"),
        ("de", "time", "31.12.1999, 9:05", "1999-12-31T09:05:00"), ("de", "time", "1.2.2026 10:30:15", "2026-02-01T10:30:15"),
    ],
)  # fmt: skip
def test_numbers_and_dates_are_read_as_the_locale_writes_them(locale, kind, text, read):
    assert LocalWriting(locale).read(text, kind) == read


@pytest.mark.parametrize(
    ("locale", "kind", "text", "sentence"),
    [
        ("de", "number", "1.234", "can be 1234, as `de` writes numbers, or 1.2340"),
        ("en", "number", "19,90", "is not a number as `en` writes it"),
        ("de", "number", "12.34,5", "is not a number"),
        ("de", "date", "31.12.99", "is not a date"),
        ("de", "date", "32.01.2026", "is not a date"),
        ("en", "date", "3/4/2026", "is not a date as `en` writes it.*`locale` in treue.yaml"),
        ("en-GB", "time", "12/31/1999 10:00", "is not a time"),
    ],
)
def test_what_has_two_meanings_or_none_is_refused(locale, kind, text, sentence):
    with pytest.raises(Misfit, match=sentence):
        LocalWriting(locale).read(text, kind)


# --- what is set aside ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_what_a_spreadsheet_would_run_is_written_so_that_it_does_not(tmp_path, sign):
    (tmp_path / "k.csv").write_text(f'"{sign}id",b\n"{sign}1+1","x"\n', encoding="utf-8", newline="")
    file = recognise(tmp_path / "k.csv")
    rejects = Rejects(file)
    for row in file.rows():
        rejects.add(row, f"{sign}1 is not an id.")
    rejects.close()
    with (tmp_path / "k.csv.rejected.csv").open(encoding="utf-8-sig", newline="") as stream:
        written = [cell for line in csv.reader(stream) for cell in line]
    assert [cell for cell in written if cell[:1] in "=+-@\t\r＝"] == []
    again = recognise(tmp_path / "k.csv.rejected.csv")
    assert again.columns == file.columns
    assert [row.values for row in again.rows()] == [row.values for row in file.rows()]


@given(st.text("'=+-@\t\r ab", max_size=6))
def test_a_defused_cell_can_be_had_as_it_was(cell):
    assert as_before(defused(cell)) == cell
    assert defused(cell)[:1] not in tuple("=+-@\t\r")


def test_json_lines_with_lone_surrogates_are_set_aside_and_can_be_mended(tmp_path):
    (tmp_path / "k.jsonl").write_text('{"id": "1", "name": "\\ud800"}\n{"broken"\n', encoding="utf-8")
    file = recognise(tmp_path / "k.jsonl")
    rejects = Rejects(file)
    for row in file.rows():
        rejects.add(row, row.problem or "It is not Unicode.")
    rejects.close()
    told = [json.loads(line) for line in rejects.path.read_text(encoding="utf-8").splitlines()]
    assert [(one["rejected_line"], one["rejected_reason"][:6]) for one in told] == [
        (1, "It is "),
        (2, "The li"),
    ]
    again = list(recognise(rejects.path).rows())
    assert again[0].values == {"id": "1", "name": "\ud800"}
    assert "Put the mended line in the place of this one" in again[1].problem

"""`treue import` as a marketer meets it: what is said of each line, and questions about columns."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Run

HEADERS = "id,E-Mail-Adresse,First Name,country\n1,ada@example.org,Ada,DE\n"


def customers(root: Path) -> dict[str, tuple[str | None, str]]:
    """Return what is kept of each customer."""
    connection = sqlite3.connect(root / "treue.db")
    try:
        query = "SELECT key, email, attributes FROM customer ORDER BY key"
        return {key: (email, attributes) for key, email, attributes in connection.execute(query)}
    finally:
        connection.close()


def test_the_summary_accounts_for_every_line(treue: Run, files: Path, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        'sep=;\nid;email;first_name\n1;a@x.de;"Ida\n2;b@x.de;-\n\n3;B@x.de;"Uwe\nand company"\n;;\n',
        encoding="utf-8",
    )
    done = treue(files, "import", "customers", path)
    assert done.code == 1, "a row was set aside"
    assert (
        "8 lines read: 2 of the header, 2 in the database, 1 set aside, 2 blank, 1 that go on with a row."
        in done.out
    )
    assert "2 new, 0 changed, 0 consents." in done.out
    assert "No value, but a word such as NULL or -: first_name 1." in done.out
    assert "In the database, 2 customers share 1 e-mail address." in done.out
    assert "line 3: Cell 3 begins with a quotation mark that is not closed ('Ida')" in done.out
    found = treue(files, "import", "customers", path, "--json").json
    assert {
        "lines": 8,
        "header": 2,
        "read": 3,
        "kept": 2,
        "rejected": 1,
        "blank": 2,
        "continued": 1,
    }.items() <= found.items()
    assert found["shared"] == {"email": {"addresses": 1, "customers": 2}}
    assert found["refusals"][0]["line"] == 3


def test_nearly_known_columns_end_the_import_before_the_first_row_and_name_the_options(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(HEADERS, encoding="utf-8")
    done = treue(files, "import", "customers", path)
    assert (done.code, (files / "treue.db").exists()) == (1, False)
    options = '--map "E-Mail-Adresse=email" --map "First Name=first_name"'
    assert f"Nothing was read. Say so with: {options}" in done.err
    told = treue(files, "import", "customers", path, "--json")
    assert (told.code, told.json["options"]) == (1, options)
    assert told.json["columns"][1] == {"column": "First Name", "name": "first_name"}
    own = treue(
        files, "import", "customers", path, "--map", "E-Mail-Adresse=email", "--map", "First Name=First Name"
    )
    assert own.code == 0
    assert customers(files) == {"1": ("ada@example.org", '{"First Name":"Ada","country":"DE"}')}


@pytest.mark.parametrize(
    ("what", "header", "sentence"),
    [
        (
            "customers",
            "email,first_name",
            'has no column for the customer\'s id. Name the one that is: --map "COLUMN=id"',
        ),
        (
            "events",
            "event,at",
            'has no column for the customer. Name the one that is: --map "COLUMN=customer_id"',
        ),
        ("events", "customer,event", "has no column for when it happened"),
        ("events", "customer,at", "or all are one event: --event NAME"),
    ],
)
def test_a_file_without_a_column_that_every_row_needs_is_not_begun(
    treue: Run, files: Path, tmp_path: Path, what: str, header: str, sentence: str
) -> None:
    (tmp_path / "f.csv").write_text(f"{header}\nx,y\n", encoding="utf-8")
    done = treue(files, "import", what, tmp_path / "f.csv")
    assert done.code == 1
    assert sentence in done.err
    assert not (files / "treue.db").exists()


def test_a_mapped_column_that_is_not_there_is_an_error(treue: Run, files: Path, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("id,Vorname\n1,Ada\n", encoding="utf-8")
    done = treue(files, "import", "customers", tmp_path / "f.csv", "--map", "Vornahme=first_name")
    assert done.code == 2
    assert "has no column `Vornahme`. Did you mean `Vorname`?" in done.err


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ("\n\n", '{"first_name":"Ada","country":"DE"}'),
        ("y\nn\n", '{"First Name":"Ada","country":"DE"}'),
    ],
)
def test_somebody_at_a_terminal_is_asked_about_nearly_known_columns(
    files: Path, tmp_path: Path, answers: str, kept: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_text(HEADERS, encoding="utf-8")
    shown = at_a_terminal(files, answers, "import", "customers", path)
    assert "The column `First Name` is not known. Is it `first_name`? [Y/n]" in shown
    assert customers(files) == {"1": ("ada@example.org", kept)}


def at_a_terminal(root: Path, answers: str, *arguments: Any) -> str:
    """Run a command at a terminal, type the answers, and return what it showed there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "treue", "--workspace", str(root), *map(str, arguments)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=root)
    os.close(theirs)
    os.write(ours, answers.encode())
    shown = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # what Linux says at the end of a terminal
            break
        if not read:
            break
        shown += read
    assert process.wait() == 0, shown.decode()
    os.close(ours)
    return shown.decode()


def test_numbers_and_dates_are_read_by_the_workspace_s_locale(
    treue: Run, files: Path, tmp_path: Path
) -> None:
    (tmp_path / "o.csv").write_text(
        "Kundennummer;Datum;total\nk1;31.01.2026 09:30;1.234,50\n", encoding="utf-8"
    )
    columns = ("--map", "Kundennummer=customer_id", "--map", "Datum=at")
    done = treue(files, "import", "events", tmp_path / "o.csv", "--event", "order.placed", *columns)
    assert "1 new, 0 known already." in done.out
    assert "31.01.2026 09:30" not in done.err
    connection = sqlite3.connect(files / "treue.db")
    assert connection.execute("SELECT properties FROM event WHERE name = 'order.placed'").fetchall() == [
        ('{"total":1234.5}',)
    ]
    connection.close()


@pytest.mark.parametrize(
    "what", [("import", "events"), ("simulate", "--from", "2026-03-01", "--to", "2026-03-02", "--history")]
)
def test_a_folder_a_pipe_or_a_workbook_is_said_to_be_no_file(
    treue: Run, files: Path, tmp_path: Path, what: tuple[str, ...]
) -> None:
    os.mkfifo(tmp_path / "p.csv")
    (tmp_path / "w.xlsx").write_bytes(b"PK\x03\x04")
    for path, sentence in (
        (tmp_path, "is a folder"),
        (tmp_path / "p.csv", "is no file"),
        (tmp_path / "w.xlsx", "save the sheet as CSV"),
    ):
        done = treue(files, *what, path)
        assert (done.code, sentence in done.err) == (2, True), done.err

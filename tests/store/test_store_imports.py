"""Importing files: every format, every oddity set aside with its reason, and twice is the same as once."""

from __future__ import annotations

import builtins
import csv
import gzip
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from treue.errors import RejectedInput
from treue.model.tables import consent, customer, event, event_conflict, opt_out
from treue.store import consents, customers, imports
from treue.store.imports import import_customers, import_events
from treue.store.inputs import ConsentInput, CustomerInput
from treue.store.row_files import recognise

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
SCHEMA = {"first_name": "text", "birthday": "date", "spent": "number", "tags": "list"}
ORDERS = {"order.placed": {"total": "number", "items": "list"}}


def people(store, path, mapping=None, **named):
    return import_customers(store, recognise(path), mapping or {}, SCHEMA, NOW, zone="Europe/Berlin", **named)


def orders(store, path, mapping=None, **named):
    return import_events(store, recognise(path), mapping or {}, ORDERS, NOW, zone="Europe/Berlin", **named)


def all_of(store, table):
    with store.reading() as connection:
        return connection.execute(select(table).order_by(*table.primary_key)).all()


def test_a_csv_of_customers_fills_columns_attributes_and_consents(store, tmp_path):
    path = tmp_path / "kunden.csv"
    path.write_text(
        "Nr;email;first_name;birthday;spent;tags;consent;leer\n"
        'k1;Ada@X.DE;Ada;1990-02-28;"19.90";tee|kaffee;email, sms;\n'
        "k2;;Jörg;;;;;\n",
        encoding="utf-8",
    )
    report = people(store, path, {"Nr": "id"})
    assert (report.read, report.created, report.consents, report.rejected) == (2, 2, 2, 0)
    assert report.rejected_file is None
    ada, joerg = all_of(store, customer)
    assert (ada.key, ada.email) == ("k1", "Ada@x.de")
    assert ada.attributes == {
        "first_name": "Ada", "birthday": "1990-02-28", "spent": 19.9, "tags": ["tee", "kaffee"]
    }  # fmt: skip
    assert joerg.attributes == {"first_name": "Jörg"}
    assert {(row.channel, row.source) for row in all_of(store, consent)} == {
        ("email", "import"),
        ("sms", "import"),
    }
    created = [row for row in all_of(store, event) if row.name == "customer.created"]
    assert [row.properties for row in created] == [{"source": "import"}] * 2
    assert {row.routed_at for row in created} == {None}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_every_usual_encoding_is_read_and_latin_1_is_reported(sqlite_url, tmp_path, encoding):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text("id,first_name\nk1,Jörg – Größe €\n", encoding=encoding)
    report = people(store, tmp_path / "k.csv")
    assert all_of(store, customer)[0].attributes == {"first_name": "Jörg – Größe €"}
    assert report.notes == (
        ["k.csv is not UTF-8; it was read as Latin-1 (Windows-1252)."] if encoding == "cp1252" else []
    )
    store.close()


def test_bad_rows_are_set_aside_beside_the_file_with_line_and_reason_and_the_rest_is_kept(store, tmp_path):
    path = tmp_path / "k.csv"
    path.write_text(
        "id,email,birthday,consent\n"
        "k1,a@x.de,1990-01-01,email\n"
        "k2,not-an-address,,\n"
        ",b@x.de,,\n"
        "k4,d@x.de,31.12.1999,\n"
        "k5,e@x.de,,fax\n"
        "k6,f@x.de,1990-01-01,email,too,many\n"
        "k7,g@x.de\n"
        "k8,h@x.de,,\n"
    )
    report = people(store, path)
    assert [row.key for row in all_of(store, customer)] == ["k1", "k8"]
    assert (report.read, report.created, report.rejected) == (8, 2, 6)
    assert report.rejected_file == tmp_path / "k.csv.rejected.csv"
    with report.rejected_file.open(encoding="utf-8-sig", newline="") as stream:
        aside = list(csv.DictReader(stream))
    assert [row["rejected_line"] for row in aside] == ["3", "4", "5", "6", "7", "8"]
    reasons = [row["rejected_reason"] for row in aside]
    assert "not an e-mail address" in reasons[0]
    assert "id is missing" in reasons[1]
    assert "birthday: '31.12.1999' is not a date" in reasons[2]
    assert "'fax' is no channel" in reasons[3]
    assert "6 cells, the header has 4" in reasons[4]
    assert "2 cells, the header has 4" in reasons[5]


def test_a_mended_rejects_file_can_be_imported_as_it_is(store, tmp_path):
    (tmp_path / "k.csv").write_text("id,birthday\nk1,31.12.1999\n")
    aside = people(store, tmp_path / "k.csv").rejected_file
    aside.write_text(aside.read_text().replace(",k1,31.12.1999", ",k1,1999-12-31"))
    assert people(store, aside).created == 1
    assert all_of(store, customer)[0].attributes == {"birthday": "1999-12-31"}


def test_importing_again_changes_nothing_and_never_undoes_an_unsubscription(store, tmp_path):
    (tmp_path / "k.csv").write_text("id,email,consent\nk1,a@x.de,email\n")
    people(store, tmp_path / "k.csv")
    with store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("k1", "email")], NOW + timedelta(days=1))
    later = NOW + timedelta(days=2)
    report = import_customers(store, recognise(tmp_path / "k.csv"), {}, SCHEMA, later)
    assert (report.created, report.updated, report.consents) == (0, 0, 0)
    assert [row.given for row in all_of(store, consent)] == [False]


def test_a_dated_consent_newer_than_a_withdrawal_counts(store, tmp_path):
    with store.transaction() as connection:
        consents.withdraw(connection, [ConsentInput("k1", "email", NOW - timedelta(days=9))], NOW)
    (tmp_path / "k.csv").write_text("id,consent,consent_at\nk1,email,2026-02-28 10:00\n")
    assert people(store, tmp_path / "k.csv").consents == 1
    assert [(row.given, row.since) for row in all_of(store, consent)] == [
        (True, datetime(2026, 2, 28, 9, 0, tzinfo=UTC))
    ]


def test_events_without_an_id_are_known_by_content_and_line_so_twice_is_once(store, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "customer_id,event,at,total\nc1,order.placed,2026-01-05 10:00,5\n" * 1
        + "c1,order.placed,2026-01-05 10:00,5\n"
    )
    first, again = orders(store, path), orders(store, path)
    assert (first.created, first.duplicates) == (2, 0)
    assert (again.created, again.duplicates) == (0, 2)
    placed = [row for row in all_of(store, event) if row.name == "order.placed"]
    assert [row.properties for row in placed] == [{"total": 5}] * 2
    assert {row.at for row in placed} == {datetime(2026, 1, 5, 9, 0, tzinfo=UTC)}
    assert {(row.source, row.routed_at) for row in placed} == {("import", None)}
    assert all_of(store, customer)[0].created_at == datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def test_a_row_under_a_used_id_with_another_content_is_set_aside_with_its_line(store, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(
        "id,customer_id,event,at,total\n"
        "1001,ada,order.placed,2026-01-05,40\n"
        "1001,ada,order.shipped,2026-01-06,\n"
        "1001,ben,order.placed,2026-01-05,40\n"
        "1001,ada,order.placed,2026-01-05,99\n"
        "1001,ada,order.placed,2026-01-05,40.00\n"
        "1001,ada,order.placed,2026-01-07,40\n"
    )
    schema = {**ORDERS, "order.shipped": {}}
    first = import_events(store, recognise(path), {}, schema, NOW)
    assert (first.read, first.created, first.duplicates, first.rejected) == (6, 3, 1, 2)
    with first.rejected_file.open(encoding="utf-8-sig", newline="") as stream:
        aside = list(csv.DictReader(stream))
    assert [(row["rejected_line"], row["total"]) for row in aside] == [("5", "99"), ("7", "40")]
    assert "another order.placed of customer 'ada' is kept under it" in aside[0]["rejected_reason"]
    again = import_events(store, recognise(path), {}, schema, NOW)
    assert (again.created, again.duplicates, again.rejected) == (0, 4, 2)
    mended = first.rejected_file.read_text().replace(",1001,", ",2001,", 1)
    first.rejected_file.write_text(mended)
    third = import_events(store, recognise(first.rejected_file), {}, schema, NOW)
    assert (third.created, third.rejected) == (1, 1)
    assert all_of(store, event_conflict) == [], "the file beside has them"


def test_json_lines_packed_or_not_with_nested_properties_and_bad_lines(store, tmp_path):
    good = {"id": "o1", "customer_id": "c1", "event": "order.placed", "at": "2026-01-05T10:00:00Z",
            "properties": {"total": "7.50", "items": [{"sku": "tee"}]}}  # fmt: skip
    lines = [json.dumps(good), "", "[1, 2]", "{broken", json.dumps(good | {"id": "o2", "at": "2036-01-01"}),
             json.dumps(good | {"id": "o3", "properties": {"total": "viel"}}), "[" * 100_000]  # fmt: skip
    path = tmp_path / "orders.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    report = orders(store, path)
    assert (report.created, report.rejected) == (1, 5)
    (placed,) = [row for row in all_of(store, event) if row.name == "order.placed"]
    assert placed.properties == {"total": 7.5, "items": [{"sku": "tee"}]}
    aside = [json.loads(line) for line in report.rejected_file.read_text().splitlines()]
    assert [row["rejected_line"] for row in aside] == [3, 4, 5, 6, 7]
    assert "lies in the future" in aside[2]["rejected_reason"]
    assert "total: 'viel' is not a number" in aside[3]["rejected_reason"]


def test_parquet_with_numbers_as_ids_nulls_and_times(store, tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table(
        {
            "customer_id": [17850.0, None],
            "at": [datetime(2010, 12, 1, 8, 26), datetime(2010, 12, 1, 8, 27)],  # noqa: DTZ001
            "total": [15.3, float("nan")],
        }
    )
    parquet.write_table(table, tmp_path / "o.parquet")
    report = orders(store, tmp_path / "o.parquet", event="order.placed")
    assert (report.created, report.rejected) == (1, 1)
    placed = next(row for row in all_of(store, event) if row.name == "order.placed")
    assert (placed.properties, placed.at) == ({"total": 15.3}, datetime(2010, 12, 1, 7, 26, tzinfo=UTC))
    assert all_of(store, customer)[0].key == "17850"
    assert report.rejected_file == tmp_path / "o.parquet.rejected.jsonl"


def test_without_pyarrow_parquet_says_how_to_get_it(sqlite_url, tmp_path, monkeypatch):
    (tmp_path / "o.parquet").write_bytes(b"PAR1")
    store, real = imports.Store.open(sqlite_url), builtins.__import__

    def refusing(name, *rest, **named):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(RejectedInput, match=r"pip install 'treue\[parquet\]'"):
        orders(store, tmp_path / "o.parquet")
    store.close()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.csv", None, "There is no file"),
        ("k.xlsx", b"PK", "is a workbook"),
        ("k.csv", b"", "is empty"),
        ("k.csv", b"id,a,a\n1,2,3\n", "column 'a' twice"),
        ("k.parquet", b"not parquet", "is not a Parquet file"),
        ("k.csv.gz", gzip.compress(b"id\n" + b"k\n" * 50_000)[:-30], "cut off|breaks off"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_refused_with_a_sentence(
    sqlite_url, tmp_path, name, content, sentence
):
    store = imports.Store.open(sqlite_url)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RejectedInput, match=sentence):
        people(store, tmp_path / name)
    assert all_of(store, customer) == []
    store.close()


def test_a_row_the_database_refuses_is_set_aside_alone(store, tmp_path, monkeypatch):
    real = imports.customers.merge

    def refusing(connection, rows, now):
        if any(row.key == "k7" for row in rows):
            raise RejectedInput("k7 is poison.")
        return real(connection, rows, now)

    monkeypatch.setattr(imports.customers, "merge", refusing)
    (tmp_path / "k.csv").write_text("id,a\n" + "".join(f"k{n},1\n" for n in range(20)))
    report = people(store, tmp_path / "k.csv")
    assert (report.created, report.rejected) == (19, 1)
    assert "k7 is poison." in report.rejected_file.read_text()


def test_a_column_can_be_renamed_and_left_out(store, tmp_path):
    (tmp_path / "k.csv").write_text("id,vorname,geheim\nk1,Ada,x\n")
    people(store, tmp_path / "k.csv", {"vorname": "first_name", "geheim": ""})
    assert all_of(store, customer)[0].attributes == {"first_name": "Ada"}


def test_progress_is_told_after_each_batch(store, tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "BATCH", 10)
    (tmp_path / "k.csv").write_text("id,a\n" + "".join(f"k{n},1\n" for n in range(25)))
    told: list[int] = []
    people(store, tmp_path / "k.csv", progress=told.append)
    assert told == [10, 20, 25]


@pytest.mark.data
def test_the_purchases_of_a_cd_shop_go_in_once(store, data_dir):
    mapping = {"date": "at", "amount": "total"}
    path = data_dir / "cdnow.csv.gz"
    report = orders(store, path, mapping, event="order.placed")
    assert (report.read, report.created, report.rejected) == (69_659, 69_659, 0)
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(customer)) == 23_570
    again = orders(store, path, mapping, event="order.placed")
    assert (again.created, again.duplicates) == (0, 69_659)


def test_a_new_record_of_a_mailbox_that_unsubscribed_brings_no_consent_unless_it_says_since_when(
    store, tmp_path
):
    with store.transaction() as connection:
        customers.upsert(connection, [CustomerInput("k1", email="a@x.de")], NOW)
        consents.withdraw(connection, [ConsentInput("k1", "email", NOW - timedelta(days=9))], NOW)
    (tmp_path / "k.csv").write_text("id,email,consent\nk2,A@x.de,email\n")
    assert people(store, tmp_path / "k.csv").consents == 0
    (tmp_path / "k.csv").write_text("id,email,consent,consent_at\nk2,A@x.de,email,2026-02-01 10:00\n")
    assert people(store, tmp_path / "k.csv").consents == 1
    assert [row.address for row in all_of(store, opt_out)] == ["a@x.de"]
    (tmp_path / "k.csv").write_text("id,email,consent,consent_at\nk3,A@X.de,email,2026-02-28 10:00\n")
    assert people(store, tmp_path / "k.csv").consents == 1
    assert all_of(store, opt_out) == []


def told(store):
    return {row.key: row.attributes for row in all_of(store, customer)}


def test_blanks_and_placeholders_are_no_values_and_the_latter_are_counted(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text(
        "id, email ,first_name,country,tags\n"
        "k1,\u00a0a@x.de\u200b,NULL,NA,-\n"
        "k2, b@x.de ,\u200b Uwe ,#N/A,\n"
        "-,c@x.de,nan,DE,a;b\n",
        encoding="utf-8",
    )
    report = people(store, tmp_path / "k.csv")
    assert told(store) == {"k1": {"country": "NA"}, "k2": {"first_name": "Uwe"}}
    assert [row.email for row in all_of(store, customer)] == ["a@x.de", "b@x.de"]
    assert report.placeholders == {"first_name": 2, "tags": 1, "country": 1, "id": 1}
    assert [refusal.reason for refusal in report.refusals] == ["The customer's id is missing."]
    store.close()


def test_numbers_and_dates_come_in_as_the_workspace_s_locale_writes_them(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text(
        "id;spent;birthday;created_at\nk1;1.234,50;31.12.1999;1.2.2026 10:00\nk2;1.234;;\nk3;;31.12.99;\n"
    )
    report = people(store, tmp_path / "k.csv", locale="de")
    assert told(store) == {"k1": {"spent": 1234.5, "birthday": "1999-12-31"}}
    assert all_of(store, customer)[0].created_at == datetime(2026, 2, 1, 9, 0, tzinfo=UTC)
    assert [refusal.line for refusal in report.refusals] == [3, 4]
    assert "spent: '1.234' can be 1234" in report.refusals[0].reason
    (tmp_path / "o.csv").write_text("customer;at;total\nk1;5.1.2026 10:00;7,50\n")
    assert orders(store, tmp_path / "o.csv", event="order.placed", locale="de").created == 1
    placed = next(row for row in all_of(store, event) if row.name == "order.placed")
    assert (placed.properties, placed.at) == ({"total": 7.5}, datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    store.close()


@pytest.mark.parametrize("column", ["id", "customer_id", "customer"])
def test_the_key_of_a_customer_may_be_called_as_it_is_over_http(sqlite_url, tmp_path, column):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text(f"{column},first_name\nk1,Ada\n")
    assert people(store, tmp_path / "k.csv").created == 1
    assert told(store) == {"k1": {"first_name": "Ada"}}
    store.close()


def test_a_column_customer_beside_the_key_stays_an_attribute(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text("customer,id\nyes,k1\nyes,\n")
    report = people(store, tmp_path / "k.csv")
    assert told(store) == {"k1": {"customer": "yes"}}
    assert report.rejected == 1
    assert any(
        "Not declared in treue.yaml, and kept as it stands: `customer`" in note for note in report.notes
    )
    store.close()


def test_two_columns_of_one_name_are_refused_unless_one_is_left_out(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text("id,vorname,first_name\nk1,Ada,Ida\n")
    with pytest.raises(RejectedInput, match=r'two columns for `first_name`.*--map "first_name="'):
        people(store, tmp_path / "k.csv", {"vorname": "first_name"})
    people(store, tmp_path / "k.csv", {"vorname": "first_name", "first_name": ""})
    assert told(store) == {"k1": {"first_name": "Ada"}}
    store.close()


def test_shared_addresses_are_counted_in_all_the_database(store, tmp_path):
    (tmp_path / "k.csv").write_text("id,email,phone\nk1,a@x.de,\nk2,A@X.de,+49301\nk3,c@x.de,\n")
    first = people(store, tmp_path / "k.csv")
    assert {name: (one.addresses, one.customers) for name, one in first.shared.items()} == {"email": (1, 2)}
    (tmp_path / "k.csv").write_text("id,email,phone\nk4,a@x.de,\nk5,c@x.de,+49301\nk6,,\n")
    again = people(store, tmp_path / "k.csv")
    assert {name: (one.addresses, one.customers) for name, one in again.shared.items()} == {
        "email": (2, 5),
        "sms": (1, 2),
    }


def test_an_event_that_was_set_aside_and_mended_is_the_one_of_the_mended_file(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    path = tmp_path / "o.csv"
    path.write_text("customer_id,at,total\na,2026-01-05,1\nb,soon,2\nc,2026-01-05,3\n")
    aside = orders(store, path, event="order.placed").rejected_file
    aside.write_text(aside.read_text(encoding="utf-8-sig").replace("soon", "2026-01-06"), encoding="utf-8")
    assert orders(store, aside, event="order.placed").created == 1
    assert orders(store, aside, event="order.placed").duplicates == 1
    path.write_text(path.read_text().replace("soon", "2026-01-06"))
    report = orders(store, path, event="order.placed")
    assert (report.created, report.duplicates) == (0, 3)
    store.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "k1", "email": "a\\ud800@x.de"}', "is not an e-mail address"),
        ('{"id": "k1\\ud800"}', "cannot be printed"),
        ('{"id": "k1", "first_name": "\\ud800"}', "not JSON in UTF-8"),
        ('{"id": "k1", "first_name": "a\\u0000b"}', "NUL"),
        ('{"id": "k1", "push_token": "a\\ud800"}', "push token"),
        ('{"id": "k1", "email": "a\\u200b@x.de"}', "is not an e-mail address"),
        ('{"id": "k1", "tags": "' + "[" * 9_000 + '"}', "tags: .* is not a list"),
        ('{"id": "k1", "attributes": "much"}', "attributes: 'much' is no JSON object"),
        ('{"id": "k1", "more": ' + "[" * 9_000 + "]" * 9_000 + "}", "not one JSON object|nested deeper"),
        ('{"id": "k1", "first_name": "' + "x" * 40_000 + '"}', "bytes long"),
        ('{"id": "k1", "spent": ' + "9" * 5_000 + "}", "not one JSON object"),
    ],
)
def test_what_no_database_takes_costs_its_row_alone(store, tmp_path, line, reason):
    path = tmp_path / "k.jsonl"
    path.write_text(f'{{"id": "k0"}}\n{line}\n{{"id": "k2"}}\n')
    report = people(store, path)
    assert sorted(told(store)) == ["k0", "k2"]
    assert [one.line for one in report.refusals] == [2]
    assert re.search(reason, report.refusals[0].reason)
    again = people(store, report.rejected_file)
    assert (again.read, again.rejected) == (1, 1)


def test_cells_of_brackets_surrogates_and_nul_in_a_csv_cost_their_rows_alone(store, tmp_path):
    brackets = "[" * 9_000
    (tmp_path / "k.csv").write_bytes(
        f"id,first_name,tags\nk1,{brackets},\nk2,,{brackets}\nk3,a\0b,\nk4,".encode()
        + b"\xed\xa0\x80,\nk5,Bj\xc3\xb6rk,\n"
    )
    report = people(store, tmp_path / "k.csv")
    assert told(store) == {"k1": {"first_name": brackets}, "k5": {"first_name": "Björk"}}
    assert [one.line for one in report.refusals] == [3, 4, 5]


def test_sentences_beyond_the_first_are_counted(sqlite_url, tmp_path):
    store = imports.Store.open(sqlite_url)
    (tmp_path / "k.csv").write_text("id,timezone\n" + "".join(f"k{n},Mars/{n}\n" for n in range(25)))
    report = people(store, tmp_path / "k.csv")
    assert (len(report.notes), report.more_notes) == (20, 5)
    store.close()


def test_a_batch_of_large_rows_is_kept_before_it_takes_much_memory(sqlite_url, tmp_path, monkeypatch):
    store = imports.Store.open(sqlite_url)
    monkeypatch.setattr(imports, "BATCH_SIZE", 10_000)
    (tmp_path / "k.csv").write_text("id,a\n" + f"k1,{'x' * 6_000}\n" * 5)
    read: list[int] = []
    people(store, tmp_path / "k.csv", progress=read.append)
    assert read == [2, 4, 5]
    store.close()

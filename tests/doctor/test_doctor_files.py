"""The examination of files: they load, have warnings, or are wrong; without settings, most else waits."""

from __future__ import annotations

from pathlib import Path

from tests.doctor.scene import Shop, grades, said

JOURNEY = """\
description: Thank you.
category: transactional
enter: {manual: true}
steps:
  - {id: rest, wait: 1d}
"""


def test_files_that_load_are_well(shop: Shop) -> None:
    (shop.root / "journeys").mkdir()
    (shop.root / "journeys" / "thanks.yaml").write_text(JOURNEY)
    found = shop.found("files")
    assert grades(found) == ["well"]
    assert "1 journey, 0 segments and 0 templates load" in said(found)


def test_a_problem_in_a_journey_is_wrong_and_the_rest_is_looked_at(shop: Shop) -> None:
    (shop.root / "journeys").mkdir()
    (shop.root / "journeys" / "thanks.yaml").write_text(JOURNEY.replace("wait: 1d", "wait: 1 fortnight"))
    found = shop.found("files")
    assert grades(found) == ["wrong"]
    assert "1 problem in the files, the first: journeys/thanks.yaml:5:" in said(found)
    assert "`treue check`" in said(found)
    assert grades(shop.found("sender")) == ["well"]


def test_a_template_that_fails_customers_is_wrong(shop: Shop) -> None:
    folder = shop.root / "templates" / "thanks"
    folder.mkdir(parents=True)
    (folder / "sms.txt").write_text("Hello {{ customer.nmae }}")
    found = shop.found("files")
    assert grades(found) == ["wrong"]
    assert "templates/thanks/sms.txt:1" in said(found)


def test_what_is_only_doubtful_in_a_template_is_a_warning(shop: Shop) -> None:
    shop.write(RELAY_AND_SMS, "customer: {first_name: text}")
    folder = shop.root / "templates" / "thanks"
    folder.mkdir(parents=True)
    (folder / "sms.txt").write_text("Hello {{ customer.first_name }}")
    found = shop.found("files")
    assert grades(found) == ["warning", "well"], said(found)


def test_without_settings_what_needs_them_is_not_looked_at_and_the_rest_is(shop: Shop) -> None:
    shop.write(RELAY_AND_SMS, "nonsense: 1")
    assert grades(shop.found("files")) == ["wrong"]
    (database,) = shop.found("database")
    assert (database.grade, database.sentence) == ("warning", "Not looked at, as treue.yaml is wrong.")
    assert grades(shop.found("Prefect")) == ["well"]


RELAY_AND_SMS = "email: {adapter: smtp, url: '${SMTP_URL:-}'}, sms: {adapter: file}"


def test_a_check_that_breaks_keeps_nobody_from_the_others(shop: Shop) -> None:
    def broken(path: Path) -> int:
        raise RuntimeError("no disk")

    shop.free = broken
    found = shop.found("disk")
    assert (grades(found), "RuntimeError: no disk" in said(found)) == (["wrong"], True)
    assert grades(shop.found("telemetry")) == ["well"]

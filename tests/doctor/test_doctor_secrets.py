"""The examination of secrets: who may read them, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.scene import RELAY, Shop, grades, said
from treue.render.mail.links import workspace_secret
from treue.web.guard import api_key
from treue.workspace.files import state_folder

LONG = "0123456789abcdef" * 2


@pytest.fixture
def state(shop: Shop) -> Path:
    """The state folder as Treue makes it, with both secrets."""
    folder = state_folder(shop.root)
    workspace_secret(folder)
    api_key(folder)
    return folder


def test_files_as_treue_makes_them_are_well(shop: Shop, state: Path) -> None:
    assert grades(shop.found("secret files")) == ["well"]
    found = shop.found("keys")
    assert grades(found) == ["well", "well"]
    assert ".treue/secret" in found[0].sentence
    assert ".treue/api_key" in found[1].sentence


@pytest.mark.parametrize("name", ["secret", "api_key", "prefect/auth_string"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_may_read_is_wrong(shop: Shop, state: Path, name: str, mode: int) -> None:
    (state / "prefect").mkdir(exist_ok=True)
    (state / name).touch()
    (state / name).chmod(mode)
    (found,) = shop.found("secret files")
    assert found.grade == "wrong"
    assert f".treue/{name} is open to others (mode {mode:o})" in found.sentence
    assert f"`chmod 600 {state / name}`" in found.remedy


def test_a_folder_or_a_database_that_others_may_read_is_a_warning(shop: Shop, state: Path) -> None:
    state.chmod(0o755)
    database = shop.root / "treue.db"
    database.touch()
    database.chmod(0o644)
    found = shop.found("secret files")
    assert grades(found) == ["warning", "warning"]
    assert f"`chmod 700 {state}`" in said(found)
    assert f"`chmod 600 {database}`" in said(found)


def test_keys_from_the_environment_are_well_and_never_shown(shop: Shop) -> None:
    shop.environment = {"TREUE_SECRET": LONG, "TREUE_API_KEY": LONG}
    found = shop.found("keys")
    assert grades(found) == ["well", "well"]
    assert LONG not in said(found)


def test_a_short_key_and_none_yet_are_warnings_and_none_is_made(shop: Shop) -> None:
    shop.environment = {"TREUE_API_KEY": "hush"}
    found = shop.found("keys")
    assert grades(found) == ["warning", "warning"]
    assert "set TREUE_SECRET there" in found[0].remedy
    assert "has only 4 characters" in found[1].sentence
    assert "hush" not in said(found)
    assert not (shop.root / ".treue").exists()


def test_a_source_without_its_secret_is_a_warning(shop: Shop) -> None:
    shop.write(RELAY, "sources: {till: {scheme: shopify, secret: '${TILL_SECRET:-}'}}")
    assert "All webhooks of `till` are refused" in said(shop.found("secrets of others"))
    assert grades(shop.found("secrets of others")) == ["warning"]
    shop.environment = {"TILL_SECRET": LONG}
    assert grades(shop.found("secrets of others")) == ["well"]


def test_a_call_without_its_secret_is_wrong(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(RELAY, "calls: {hosts: [crm.shop.de]}")
    (shop.root / "journeys").mkdir()
    (shop.root / "journeys" / "tell.yaml").write_text(
        "description: Tell the CRM.\ncategory: transactional\nenter: {manual: true}\n"
        "steps:\n  - {id: tell, call: https://crm.shop.de/hook, secret: CALL_SECRET}\n"
    )
    assert grades(shop.found("files")) == ["well"], said(shop.found("files"))
    found = shop.found("secrets of others")
    assert grades(found) == ["wrong"]
    assert "CALL_SECRET is not set" in said(found)
    monkeypatch.setenv("CALL_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert grades(shop.found("secrets of others")) == ["well"]

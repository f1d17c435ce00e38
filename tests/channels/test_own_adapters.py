"""A workspace's own adapters: found by name, run only where named, and told apart from everything else there."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from treue.channel import channel_factory, installed_adapters, own_adapters
from treue.composition.assembly import assembled
from treue.errors import ChannelError
from treue.vocabulary.workspace import load

PAGER = """\
from dataclasses import dataclass

from treue.channel import Accepted, Capabilities, Outgoing


@dataclass
class Pager:
    kind: str
    number: str = ""
    capabilities = Capabilities(kind="sms", address="a pager's number")

    def send(self, batch, progress):
        return [Accepted(self.number) for message in batch]

    def close(self):
        pass
"""
SETTINGS = """\
workspace: shop
timezone: Europe/Berlin
sender: {name: Shop, email: hello@shop.example, postal_address: "Hafenstr. 1, 20457 Hamburg"}
channels:
  sms: {adapter: pager, number: "4711"}
"""

ACCOUNT = '{"private_key": "x", "private_key_id": "x", "client_email": "x", "token_uri": "x", "project_id": "shop-1"}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "treue.yaml").write_text(SETTINGS)
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "pager.py").write_text(PAGER)
    return tmp_path


def refusal(root: Path, code: str | None = None) -> str:
    if code is not None:
        (root / "channels" / "pager.py").write_text(code)
    with pytest.raises(ChannelError) as raised:
        channel_factory("pager", root / "channels")
    return str(raised.value)


def test_a_channel_that_names_it_gets_it_with_its_settings(root: Path) -> None:
    workspace = load(root, installed_adapters).require()
    with assembled(workspace) as assembly:
        delivery = assembly.engine.delivery
        assert delivery is not None
        pager = delivery.channels["sms"]
        assert (type(pager).__name__, pager.number) == ("Pager", "4711")  # type: ignore[attr-defined]
        assembly.publish(datetime(2026, 11, 25, tzinfo=UTC))


def test_a_misspelt_one_is_told_with_the_nearest_name(root: Path) -> None:
    (root / "treue.yaml").write_text(SETTINGS.replace("adapter: pager", "adapter: pagre"))
    (problem,) = load(root, installed_adapters).problems
    assert (problem.code, problem.place.line) == ("T313", 5)
    assert "pager" in (problem.suggestion or "")


def test_a_file_that_no_channel_names_is_never_run(root: Path) -> None:
    (root / "channels" / "trap.py").write_text("raise SystemExit('run')")
    with assembled(load(root, installed_adapters).require()):
        pass


def test_packages_and_private_files_in_the_folder_are_no_adapters(root: Path) -> None:
    (root / "channels" / "treue_channels").mkdir()
    (root / "channels" / "treue_channels" / "__init__.py").write_text("")
    for name in ("_shared.py", "Two words.py", "notes.md"):
        (root / "channels" / name).write_text("")
    assert own_adapters(root / "channels") == ["pager"]


def test_the_reference_workspace_has_none() -> None:
    assert own_adapters(Path(__file__).parents[2] / "channels") == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n", "it has none"),
        (PAGER + "\n\nclass Two(Pager):\n    pass\n", "it has Pager, Two"),
        ("from treue_channels.file import File\n", "it has none"),
        ("import nothing_like_it\n", "channels/pager.py, line 1: ModuleNotFoundError"),
        ("a = 1\nb = a / 0\n", "channels/pager.py, line 2: ZeroDivisionError"),
        ("def f(:\n", "channels/pager.py, line 1: SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(root: Path, code: str, said: str) -> None:
    assert said in refusal(root, code)


def test_a_file_with_the_name_of_an_installed_adapter_is_refused(root: Path) -> None:
    (root / "channels" / "file.py").write_text(PAGER)
    with pytest.raises(ChannelError, match=r"channels/file\.py has the name of an installed adapter"):
        channel_factory("file", root / "channels")


def test_where_there_is_no_such_adapter_all_are_named(root: Path) -> None:
    (root / "channels" / "pager.py").rename(root / "channels" / "horn.py")
    assert "there are" in refusal(root)
    assert "horn" in refusal(root)


@pytest.mark.parametrize(
    ("adapter", "options", "package"),
    [
        (
            "apns",
            {"signing_key": "x", "key_id": "ABC123DEFG", "team_id": "ABC123DEFG", "topic": "a.b"},
            "cryptography",
        ),
        ("fcm", {"credentials": ACCOUNT}, "google"),
        ("webpush", {"vapid_key": "x", "contact": "ops@shop.example"}, "webpush"),
        ("apprise", {"urls": "json://localhost/x"}, "apprise"),
        ("ses", {"region": "eu-central-1"}, "botocore"),
    ],
)
def test_where_an_adapters_package_is_missing_the_extra_is_named(
    root: Path, adapter: str, options: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    for name, value in options.items():
        monkeypatch.setenv(f"X_{name.upper()}", value)
    written = ", ".join(f"{name}: '${{X_{name.upper()}}}'" for name in options)
    kind = "email" if adapter == "ses" else "push"
    settings = SETTINGS.replace(
        'sms: {adapter: pager, number: "4711"}', f"{kind}: {{adapter: {adapter}, {written}}}"
    )
    (root / "treue.yaml").write_text(settings)
    with (
        pytest.raises(ChannelError, match=rf"pip install 'treue\[{adapter}\]'"),
        assembled(load(root, installed_adapters).require()),
    ):
        pass


def test_an_adapter_of_another_kind_is_told_from_the_settings(root: Path) -> None:
    (root / "treue.yaml").write_text(SETTINGS.replace("  sms:", "  push:"))
    with (
        pytest.raises(ChannelError, match=r"The adapter pager is for sms; give `push` another"),
        assembled(load(root, installed_adapters).require()),
    ):
        pass

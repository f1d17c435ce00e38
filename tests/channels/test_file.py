from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from treue.channel import Accepted, Outgoing, Refused, Retry
from treue.testing.channel_contract import ChannelContract, Log, example_message
from treue_channels.file import File


class TestFileKeepsTheContract(ChannelContract):
    @pytest.fixture(params=["email", "sms", "push"])
    def channel(self, request: pytest.FixtureRequest, tmp_path: Path) -> File:
        return File(kind=request.param, path=tmp_path / "out")

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> File:
        (tmp_path / "not-a-folder").write_text("")
        return File(kind="email", path=tmp_path / "not-a-folder" / "out")

    def refused_message(self) -> Outgoing:
        return Outgoing(key="refused", to="", raw=b"\r\n")


def test_an_e_mail_is_a_file_with_exactly_its_bytes(tmp_path: Path) -> None:
    message = replace(example_message("email", 1), raw="Subject: x\r\n\r\n.Grüße\r\n".encode())
    assert File("email", tmp_path).send([message], Log()) == [Accepted("contract-1.eml")]
    assert (tmp_path / "contract-1.eml").read_bytes() == message.raw


@pytest.mark.parametrize("kind", ["sms", "push"])
def test_a_text_is_a_json_file_with_all_its_fields(tmp_path: Path, kind: str) -> None:
    message = Outgoing(
        "k", "+491", sender="Shop", text="Grüße", title="T", link="https://x.example", data={"a": "b"}
    )
    File(kind, tmp_path).send([message], Log())
    assert json.loads((tmp_path / "k.json").read_text("utf-8")) == {
        "key": "k", "channel": kind, "to": "+491", "sender": "Shop", "title": "T", "text": "Grüße",
        "link": "https://x.example", "data": {"a": "b"},
    }  # fmt: skip


def test_a_key_that_was_written_before_is_accepted_and_its_file_left_alone(tmp_path: Path) -> None:
    first = example_message("email", 1)
    adapter = File("email", tmp_path)
    adapter.send([first], Log())
    assert adapter.send([replace(first, raw=b"other\r\n")], Log()) == [Accepted("contract-1.eml")]
    assert (tmp_path / "contract-1.eml").read_bytes() == first.raw
    assert adapter.capabilities.dedup_window == math.inf


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", ".hidden", "..", "ü" * 300, "a\0b", "C:\\x"])
def test_no_key_writes_outside_the_folder_or_hides_its_file(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "deep" / "out"
    receipts = File("email", folder).send([replace(example_message("email", 1), key=key)], Log())
    assert isinstance(receipts[0], Accepted)
    assert [path.name for path in folder.iterdir()] == [receipts[0].provider_id]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.parent != folder] == []
    assert not receipts[0].provider_id.startswith(".")


def test_keys_that_differ_do_not_share_a_file(tmp_path: Path) -> None:
    keys = ["a/b", "a%2Fb", "a_b", "ü" * 300, "ü" * 301]
    File("email", tmp_path).send([replace(example_message("email", 1), key=key) for key in keys], Log())
    assert len(list(tmp_path.iterdir())) == len(keys)


def test_a_write_that_fails_is_a_retry_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    adapter, log = File("email", tmp_path), Log()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        receipts = adapter.send([example_message("email", 1)], log)
    assert isinstance(receipts[0], Retry)
    assert "No space left" in receipts[0].reason
    assert list(tmp_path.iterdir()) == []
    assert isinstance(adapter.send([example_message("email", 1)], log)[0], Accepted)


def test_where_hard_links_are_not_to_be_had_the_file_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    adapter = File("email", tmp_path)
    assert isinstance(adapter.send([example_message("email", 1)], Log())[0], Accepted)
    assert [path.name for path in tmp_path.iterdir()] == ["contract-1.eml"]


def test_a_message_without_a_key_is_refused(tmp_path: Path) -> None:
    receipts = File("sms", tmp_path).send([Outgoing("", "+491")], Log())
    assert isinstance(receipts[0], Refused)
    assert list(tmp_path.iterdir()) == []


def test_what_is_forgotten_leaves_no_file(tmp_path: Path) -> None:
    mails, texts = File("email", tmp_path), File("sms", tmp_path)
    raw = b"From: Shop <a@example.com>\r\nTo: Ada <Ada@example.com>\r\nSubject: x\r\n\r\nHello\r\n"
    others = raw.replace(b"Ada", b"Bob")
    mails.send(
        [Outgoing("1", "ada@example.com", raw=raw), Outgoing("2", "bob@example.com", raw=others)], Log()
    )
    texts.send([Outgoing("3", "+4915112", text="a"), Outgoing("4", "+4915113", text="b")], Log())
    (tmp_path / "broken.json").write_text("{")
    for one in (mails, texts):
        one.forget(["ada@EXAMPLE.com", "+4915112"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["2.eml", "4.json", "broken.json"]

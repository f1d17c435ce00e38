"""The pages of the channels: the matrix is what the adapters declare, each has its page, and the example works."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from treue.channel import Accepted, Channel, Outgoing, Refused, channel_factory, served_kinds
from treue.channel.__main__ import page
from treue.channel.options import options_of
from treue.testing.channel_contract import Log
from treue.vocabulary.workspace import load
from treue.workspace.channels import channel_problems

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "channels"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADAPTERS = sorted(PROJECT["entry-points"]["treue.channels"])


def test_the_matrix_is_the_one_the_adapters_make() -> None:
    assert (PAGES / "README.md").read_text(encoding="utf-8") == page(), (
        "run `python -m treue.channel > docs/channels/README.md`"
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_adapter_is_in_the_matrix_and_has_a_page(adapter: str) -> None:
    assert f"| [{adapter}]({adapter}.md) |" in page()
    text = (PAGES / f"{adapter}.md").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"adapter: {adapter}" in text or adapter == "calls"


@pytest.mark.parametrize("adapter", sorted(set(ADAPTERS) - {"calls"}))
def test_the_page_has_just_the_options_that_the_adapter_takes(adapter: str) -> None:
    """`calls` is set up by no channel."""
    text = (PAGES / f"{adapter}.md").read_text(encoding="utf-8")
    table = re.search(r"^\| option \|.*?(?=^$|\Z)", text, re.MULTILINE | re.DOTALL)
    rows = table[0].splitlines()[2:] if table else []
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(told) == sorted(options_of(adapter, channel_factory(adapter)).offered)


def test_the_matrix_needs_no_adapters_extra() -> None:
    """What only an extra brings is imported where it is used, so that every class loads and says what it can."""
    extras = ["google", "jwt", "webpush", "apprise", "boto3", "botocore", "dkim"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({extras}))\n"
        "from treue.channel.__main__ import page; print(page(), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == page(), done.stderr


def _examples() -> list[tuple[str, str]]:
    """Return (page, text) of every example of settings on a channel's page."""
    return [
        (path.stem, text)
        for path in sorted(PAGES.glob("*.md"))
        for text in re.findall(
            r"^```yaml\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    ]


@pytest.mark.parametrize(("name", "text"), _examples(), ids=lambda value: value[:20])
def test_every_example_of_settings_is_read_and_taken_by_its_adapter(
    name: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "treue.yaml").write_text(
        "workspace: shop\ntimezone: UTC\nsender: {name: S, email: a@b.example, postal_address: Here}\n"
        + text,
        encoding="utf-8",
    )
    own = ["pager"] if name == "custom" else []
    loaded = load(tmp_path, lambda: [*ADAPTERS, *own])
    assert [problem.message for problem in [*loaded.problems, *channel_problems(loaded)]] == []
    for kind, channel in loaded.settings.channels.items():
        if channel.adapter in ADAPTERS:
            factory = channel_factory(channel.adapter)
            assert kind in served_kinds(factory)
            more = {"box": "x"} if channel.adapter == "inbox" else {}
            inspect.signature(factory).bind(kind=kind, **channel.options, **more)


def test_the_adapter_on_the_page_about_own_ones_works(tmp_path: Path) -> None:
    text = (PAGES / "custom.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "pager.py").write_text(code, encoding="utf-8")
    pager = channel_factory("pager", tmp_path)(kind="sms", path=str(tmp_path / "line"))
    assert isinstance(pager, Channel)
    receipts = pager.send([Outgoing("1", "4711", text="Hello"), Outgoing("2", "x", text="No")], Log())
    assert [type(receipt) for receipt in receipts] == [Accepted, Refused]
    assert (tmp_path / "line").read_text() == "4711 Hello\n"

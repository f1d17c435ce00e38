"""What the pages of the SMS adapters say: their examples are taken as written, their words are those that are heard."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from treue.channel import Channel
from treue.channel.stop_words import STOP_WORDS
from treue.vocabulary.workspace import load
from treue_channels.bird import Bird
from treue_channels.seven import Seven
from treue_channels.twilio import Twilio
from treue_channels.vonage import Vonage

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "channels"
SECRETS = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "token", "VONAGE_API_KEY": "key",
    "VONAGE_API_SECRET": "secret", "VONAGE_SIGNATURE_SECRET": "signature", "BIRD_API_KEY": "bk_eu1_key",
    "BIRD_WEBHOOK_SECRET": "whsec_AAAA", "SEVEN_API_KEY": "key", "SEVEN_SIGNING_KEY": "signing",
    "TREUE_URL": "https://shop.example",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "factory"), [("twilio", Twilio), ("vonage", Vonage), ("bird", Bird), ("seven", Seven)]
)
def test_the_pages_example_sets_the_adapter_up(
    name: str, factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(
        r"^```yaml\n(channels:\n.*?)^```$", (PAGES / f"{name}.md").read_text(), re.MULTILINE | re.DOTALL
    )
    settings = (ROOT / "treue.yaml").read_text(encoding="utf-8")
    for folder in ("journeys", "segments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    ours = re.sub(r"(?ms)^  sms: .*?\n", example.removeprefix("channels:\n"), settings, count=1)
    (tmp_path / "treue.yaml").write_text(ours, encoding="utf-8")
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    workspace = load(tmp_path)
    assert [problem.message for problem in workspace.problems] == []
    channel = workspace.settings.channels["sms"]
    assert channel.adapter == name
    options = {key: getattr(value, "value", lambda v=value: v)() for key, value in channel.options.items()}
    assert isinstance(factory(kind="sms", **options), Channel)


def test_the_page_names_every_stop_word() -> None:
    page = (PAGES / "sms.md").read_text(encoding="utf-8")
    assert [word for word in STOP_WORDS if not re.search(rf"\b{word.upper()}\b", page)] == []

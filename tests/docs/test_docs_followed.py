"""The README, the tutorial and the pages of docs/connect are followed word for word, up to the mail in the inbox of a real `treue up`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.cli.processes import Running, environment, up

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?: #[^\n]*|'[^']*'|\\\n|[^'\n])+")
"""A command, also over several lines: behind a backslash at a line's end, and within quotes, it goes on."""
ENDS = re.compile(r"\s+# ends with (\d)$")
MAIL = "Thank you, {}. Your first order is with us"


class Reader:
    """Somebody who follows a page in a folder of their own, with `treue up` in another terminal where it says so."""

    def __init__(self, folder: Path, terminals: ExitStack) -> None:
        self.here, self.shown, self.terminals = folder, "", terminals
        self.running: Running | None = None

    def follow(self, language: str, file: str, text: str) -> None:
        if file:
            path = self.here / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif language == "sh":
            self.shown = "".join(map(self.run, COMMAND.findall(text)))
        elif language == "text":
            missing = [line for line in text.splitlines() if line.strip() not in self.shown]
            assert missing == [], self.shown

    def run(self, line: str) -> str:
        command = line.split("#")[0].strip()
        if command.startswith("cd "):
            self.here /= command.removeprefix("cd ")
            return ""
        if command in ("treue up", "treue web"):
            verb = command.removeprefix("treue ")
            self.running = self.terminals.enter_context(up(self.here, verb, runtime=None))
            return ""
        if self.running:
            line = line.replace(":8420", f":{self.running.port}")
        ends = ENDS.search(line)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            env=environment(PATH=path),
            cwd=self.here,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == (int(ends[1]) if ends else 0), (line, done.stdout, done.stderr)
        if "/v1/events" in line and '"status":"accepted"' in done.stdout:
            self.look_into_the_inbox(line)
        return done.stdout + done.stderr

    def look_into_the_inbox(self, line: str) -> None:
        """See there what was sent to everybody whose order was posted."""
        assert self.running
        for name in re.findall(r'"customer": "(\w+)"', line):
            (mail,) = self.running.wait_for(partial(self.mails, name), seconds=180)
            assert mail == MAIL.format(name.title())

    def mails(self, name: str) -> list[str]:
        assert self.running
        return [mail["title"] for mail in self.running.mails(f"{name}@example.com")]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[[str], Reader]]:
    """Follow a page of the documents from its first line to its last."""
    with ExitStack() as terminals:

        def read(page: str) -> Reader:
            text = (ROOT / page).read_text(encoding="utf-8")
            reader = Reader(tmp_path, terminals)
            for language, file, part in FENCE.findall(text):
                if "make demo" not in part:
                    reader.follow(language, file, part.replace(". .venv/bin/activate\n", ""))
            return reader

        yield read


@pytest.mark.prefect
def test_the_tutorial_ends_with_a_mail_in_the_inbox(follow: Callable[[str], Reader]) -> None:
    reader = follow("docs/tutorial.md")
    assert (reader.here / "second-order.svg").read_text(encoding="utf-8").startswith("<svg")
    assert reader.mails("cleo") == [MAIL.format("Cleo")]
    assert MAIL.format("Cleo") in (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")


@pytest.mark.prefect
def test_the_readme_ends_with_a_mail_in_the_inbox(follow: Callable[[str], Reader]) -> None:
    assert follow("README.md").mails("ada") == [MAIL.format("Ada")]
    assert MAIL.format("Ada") in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.prefect
def test_the_page_about_curl_ends_with_a_mail_in_the_inbox(follow: Callable[[str], Reader]) -> None:
    reader = follow("docs/connect/curl.md")
    assert [reader.mails(name) for name in ("ada", "cleo")] == [[MAIL.format("Ada")], [MAIL.format("Cleo")]]


def test_the_page_about_shopify_ends_with_a_replay_and_a_forgery(follow: Callable[[str], Reader]) -> None:
    reader = follow("docs/connect/shopify.md")
    assert '{"status":"duplicate"}' in reader.shown
    assert '"status":401' in reader.shown

"""What a machine keeps to itself: made once, whole, and for its owner alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from treue.workspace.files import read_or_make_secret


def test_processes_that_begin_at_once_keep_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = set(
            pool.map(lambda _: read_or_make_secret(tmp_path / "secret", lambda: os.urandom(32)), range(64))
        )
    assert made == {(tmp_path / "secret").read_bytes()}
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"given")
    path.chmod(0o400)
    assert read_or_make_secret(path, lambda: b"another") == b"given"


def test_an_empty_file_that_a_crash_left_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    assert (
        read_or_make_secret(path, lambda: b"made") == read_or_make_secret(path, lambda: b"another") == b"made"
    )

"""The examination of the disk: room enough, little, too little; and what kind of file system it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.doctor.scene import Shop, grades, said
from treue.doctor.surroundings import free_bytes, kind_of_mount


@pytest.mark.parametrize(
    ("free", "grade"),
    [(1_000_000_000, "well"), (999_999_999, "warning"), (100_000_000, "warning"), (99_999_999, "wrong")],
)
def test_the_room_where_state_and_database_lie_counts(shop: Shop, free: int, grade: str) -> None:
    shop.free = lambda path: free if path.name == "treue.db" else 10**12
    found = shop.found("disk")
    assert grades(found) == ["well", grade]
    assert "where treue.db lies" in found[1].sentence


def test_the_disk_of_the_state_folder_counts_beside_postgresql(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREUE_DATABASE", "postgresql://treue@db/treue")
    shop.free = lambda _: 5_000_000
    found = shop.found("disk")
    assert grades(found) == ["wrong"]
    assert "Only 5 MB are free where .treue/ lies" in said(found)


def test_room_is_asked_for_where_a_file_is_yet_to_be(tmp_path: Path) -> None:
    total = shutil.disk_usage(tmp_path).total
    assert 0 < free_bytes(tmp_path / "not" / "there" / "treue.db") <= total


def test_the_innermost_mount_says_the_kind() -> None:
    lines = [
        "/dev/sda1 / ext4 rw 0 0",
        "nas:/srv /srv nfs4 rw 0 0",
        "/dev/sdb1 /srv/my\\040shop xfs rw 0 0",
    ]
    assert kind_of_mount(lines, Path("/srv/my shop/treue.db")) == "xfs"
    assert kind_of_mount(lines, Path("/srv/other/treue.db")) == "nfs4"
    assert kind_of_mount(lines, Path("/srvother/treue.db")) == "ext4"
    assert kind_of_mount([], Path("/treue.db")) == ""

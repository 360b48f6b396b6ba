"""Policies from a directory without `..data`: files that are put there one by one."""

import os
from pathlib import Path

import pytest

from tests.unit.runtime.support import Follower, document, unmount


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def test_its_files_are_read_changed_and_removed_one_by_one(path: Path) -> None:
    follower = Follower(path)
    (path / "a.json").write_text(document("a").to_json())
    (path / "b.json").write_text(document("b").to_json())
    assert follower.poll() == ["shop/a#1", "shop/b#1"]

    (path / "a.json").write_text(document("a", generation=2).to_json())
    (path / "b.json").unlink()
    assert follower.poll() == ["shop/a#2"]

    (path / "a.json").unlink()
    assert follower.poll() == []
    assert not follower.errors


def test_a_file_deleted_while_the_directory_is_read_is_just_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(path)
    (path / "a.json").write_text(document("a").to_json())
    follower.poll()
    real_listdir = os.listdir

    def list_and_delete(directory: int) -> list[str]:
        names = real_listdir(directory)
        (path / "a.json").unlink(missing_ok=True)
        return names

    monkeypatch.setattr(os, "listdir", list_and_delete)

    assert follower.poll() == []
    assert not follower.errors


def test_an_empty_directory_in_its_place_removes_nothing(path: Path) -> None:
    follower = Follower(path)
    (path / "a.json").write_text(document("a").to_json())
    follower.poll()
    unmount(path)

    assert follower.poll() == ["shop/a#1"]
    assert follower.errors == {"directory": 1}


def test_a_full_directory_in_its_place_is_read(path: Path) -> None:
    follower = Follower(path)
    (path / "a.json").write_text(document("a").to_json())
    follower.poll()
    unmount(path)
    (path / "b.json").write_text(document("b").to_json())

    assert follower.poll() == ["shop/b#1"]


def test_a_young_file_is_read_again_even_if_its_time_stamps_did_not_move(path: Path) -> None:
    follower = Follower(path)
    file = path / "a.json"
    file.write_text(document("a", generation=1).to_json())
    follower.now = file.stat().st_ctime + 1
    follower.poll()
    (key,) = follower.directory._keys.values()
    file.write_text(document("a", generation=2).to_json())
    status = file.stat()
    key.fingerprint = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )

    assert follower.poll() == ["shop/a#2"]


def test_a_problem_of_a_young_file_is_still_told_once(path: Path) -> None:
    follower = Follower(path)
    file = path / "a.json"
    file.write_text("{")
    follower.now = file.stat().st_ctime + 1
    for _ in range(3):
        follower.poll()

    assert follower.errors == {"malformed": 1}

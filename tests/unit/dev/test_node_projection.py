"""Files of a volume change all at once, as under the kubelet."""

import threading
from pathlib import Path

import pytest

from dev.node.projection import File, project


def shown(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not str(path.relative_to(folder)).startswith("..")
    }


def test_files_appear_under_their_names_through_data(tmp_path: Path) -> None:
    assert project(tmp_path, {"a.json": File(b"1"), "sub/b": File(b"2", 0o600)})

    assert shown(tmp_path)["a.json"] == b"1"
    assert (tmp_path / "sub" / "b").read_bytes() == b"2"
    assert (tmp_path / "sub" / "b").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a.json").readlink() == Path("..data/a.json")
    assert (tmp_path / "..data").readlink().name.startswith("..20")


def test_equal_files_are_not_written_again(tmp_path: Path) -> None:
    project(tmp_path, {"a": File(b"1")})
    before = (tmp_path / "..data").readlink()

    assert not project(tmp_path, {"a": File(b"1")})
    assert (tmp_path / "..data").readlink() == before


@pytest.mark.parametrize("files", [{"a": File(b"2")}, {"a": File(b"1", 0o600)}, {"b": File(b"1")}, {}])
def test_a_change_of_content_mode_or_name_is_shown(tmp_path: Path, files: dict[str, File]) -> None:
    project(tmp_path, {"a": File(b"1")})

    assert project(tmp_path, files)
    assert shown(tmp_path) == {name: file.content for name, file in files.items()}


def test_nothing_old_is_left(tmp_path: Path) -> None:
    for round_ in range(3):
        project(tmp_path, {f"a{round_}": File(b"1")})

    assert {path.name for path in tmp_path.iterdir()} == {
        "..data",
        (tmp_path / "..data").readlink().name,
        "a2",
    }


def test_no_files_at_all_leave_an_empty_data(tmp_path: Path) -> None:
    project(tmp_path, {})

    assert list((tmp_path / "..data").iterdir()) == []


def test_a_reader_never_sees_half_a_change(tmp_path: Path) -> None:
    names = [f"f{index}" for index in range(20)]
    project(tmp_path, {name: File(b"0") for name in names})
    done = threading.Event()
    mixed: list[set[bytes]] = []

    def read() -> None:
        while not done.is_set():
            folder = (tmp_path / "..data").resolve()
            try:
                seen = {(folder / name).read_bytes() for name in names}
            except FileNotFoundError:
                continue  # the folder was replaced while it was read: a reader starts anew
            if len(seen) != 1:
                mixed.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    for version in range(100):
        project(tmp_path, {name: File(str(version).encode()) for name in names})
    done.set()
    reader.join()

    assert mixed == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "..data", ""])
def test_a_path_that_leaves_the_volume_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="must be relative and stay inside the volume"):
        project(tmp_path, {path: File(b"")})

"""Policies from a mounted directory: what counts as a policy, as gone, and as trouble."""

import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from switchgear.directory import PolicyDirectory
from switchgear.policy import LARGEST_DOCUMENT, PolicyDocument
from tests.unit.runtime.support import Follower, MountedVolume, changed, document, unmount


@pytest.fixture
def volume(tmp_path: Path) -> MountedVolume:
    return MountedVolume(tmp_path / "mount")


@pytest.fixture
def follower(volume: MountedVolume) -> Follower:
    return Follower(volume.path)


def test_policies_are_applied_once_and_again_only_when_they_change(
    volume: MountedVolume, follower: Follower
) -> None:
    volume.policies(document("b"), document("a"))
    assert follower.poll() == ["shop/a#1", "shop/b#1"]
    follower.poll()
    volume.policies(document("b"), document("a"))
    follower.poll()
    assert len(follower.applied) == 1

    volume.policies(document("b", generation=2), document("a"))
    assert follower.poll() == ["shop/a#1", "shop/b#2"]
    assert not follower.errors


def test_a_key_that_is_no_longer_listed_is_a_removed_policy(
    volume: MountedVolume, follower: Follower
) -> None:
    volume.policies(document("a"), document("b"))
    follower.poll()
    volume.policies(document("b"))

    assert follower.poll() == ["shop/b#1"]


def test_the_empty_data_that_a_deleted_configmap_leaves_removes_every_policy(
    volume: MountedVolume, follower: Follower
) -> None:
    volume.policies(document("a"))
    follower.poll()
    volume.write({})
    follower.poll()

    assert follower.applied[-1] == []
    assert not follower.errors


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed"),
        (document("a", generation=2).to_json().encode()[:-1], "malformed"),
        (document("a", generation=2).to_json().encode()[: len(document("a").to_json()) // 2], "malformed"),
        (b"[]", "invalid"),
        (b"\xff\xfe", "encoding"),
        (document("a").to_json().encode("utf-16"), "encoding"),
        (b" " * LARGEST_DOCUMENT + document("a", generation=2).to_json().encode(), "oversized"),
        (b"[" * 100_000, "malformed"),
        (b'{"schema":1,"schema":1}', "malformed"),
        (b'{"schema":1,"generation":NaN}', "malformed"),
        (changed(document("a"), schema=2).encode(), "schema"),
        (changed(document("a"), schema=True).encode(), "schema"),
        (changed(document("a"), mode="Off").encode(), "invalid"),
        (changed(document("a"), target={}).encode(), "invalid"),
        (changed(document("a"), generation="7").encode(), "invalid"),
        (changed(document("a"), trip={}).encode(), "invalid"),
    ],
)
def test_a_bad_document_leaves_its_keys_last_good_policy_with_one_log_line_and_one_count(
    volume: MountedVolume,
    follower: Follower,
    caplog: pytest.LogCaptureFixture,
    content: bytes,
    reason: str,
) -> None:
    volume.policies(document("a"), document("b"))
    follower.poll()
    volume.write({"a.json": content, "b.json": document("b", generation=2).to_json()})

    for _ in range(3):
        assert follower.poll() == ["shop/a#1", "shop/b#2"]
    assert follower.errors == {reason: 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"policies: {volume.path}/a.json: " in caplog.text
    assert "last good policy stays" in caplog.text
    assert len(caplog.text) < 1000

    volume.policies(document("a", generation=3))
    assert follower.poll() == ["shop/a#3"]
    volume.write({"a.json": content})
    assert follower.poll() == ["shop/a#3"]
    assert follower.errors == {reason: 2}


def test_a_key_that_was_never_good_brings_no_policy_and_hinders_no_other(
    volume: MountedVolume, follower: Follower
) -> None:
    volume.write({"a.json": "{", "b.json": document("b").to_json()})

    assert follower.poll() == ["shop/b#1"]
    assert follower.errors == {"malformed": 1}


def test_a_bad_key_that_is_then_deleted_takes_its_last_good_policy_along(
    volume: MountedVolume, follower: Follower
) -> None:
    volume.policies(document("a"))
    follower.poll()
    volume.write({"a.json": "{"})
    assert follower.poll() == ["shop/a#1"]
    volume.write({})
    assert follower.poll() == []


def test_other_files_and_hidden_ones_are_not_keys(volume: MountedVolume, follower: Follower) -> None:
    volume.write({"README": "x", "a.yaml": "x", ".hidden.json": "{", "a.json": document("a").to_json()})

    assert follower.poll() == ["shop/a#1"]
    assert not follower.errors


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_huge_sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def make_symlink_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_device_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "unreadable"),
        (make_pipe, "unreadable"),
        (make_huge_sparse_file, "oversized"),
        (make_symlink_loop, "unreadable"),
        (make_dangling_link, "unreadable"),
        (make_device_link, "unreadable"),
    ],
)
def test_what_is_no_readable_file_under_a_keys_name_leaves_the_last_good_policy(
    volume: MountedVolume,
    follower: Follower,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], None],
    reason: str,
) -> None:
    version = volume.policies(document("a"), document("b"))
    follower.poll()
    (version / "a.json").unlink()
    make(version / "a.json")

    for _ in range(2):
        assert follower.poll() == ["shop/a#1", "shop/b#1"]
    assert follower.errors == {reason: 1}
    assert f"policies: {volume.path}/a.json: " in caplog.text
    assert "Errno" not in caplog.text


def test_permission_denied_leaves_the_last_good_policy(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from tests.unit.runtime.support import Follower, document

        os.chdir(sys.argv[1])  # nobody may not enter the folders above
        path = Path("policies")
        follower = Follower(path)
        follower.poll()
        (path / "a.json").chmod(0)
        (path / "b.json").write_text(document("b", generation=2).to_json())
        if os.geteuid() == 0:
            os.seteuid(65534)  # root reads everything: be nobody
        print(follower.poll(), dict(follower.errors))
        """
    )
    path = tmp_path / "policies"
    path.mkdir()
    for name in ("a", "b"):
        (path / f"{name}.json").write_text(document(name).to_json())
    tmp_path.chmod(0o755)
    path.chmod(0o755)

    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert run.stdout.strip() == "['shop/a#1', 'shop/b#2'] {'unreadable': 1}"


def test_a_directory_that_is_not_there_yet_is_one_log_line_and_is_picked_up_when_it_appears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Follower(tmp_path / "mount")
    follower.poll()
    follower.poll()
    assert follower.applied == []
    assert len(caplog.records) == 1
    assert not follower.errors

    MountedVolume(tmp_path / "mount").policies(document("a"))
    assert follower.poll() == ["shop/a#1"]


def test_an_empty_mount_point_over_which_the_volume_appears_is_picked_up(
    volume: MountedVolume, follower: Follower
) -> None:
    assert follower.poll() == []
    volume.policies(document("a"))

    assert follower.poll() == ["shop/a#1"]


def vanish(path: Path) -> None:
    path.rename(path.with_name("gone"))


def lose_data_link(path: Path) -> None:
    (path / "..data").unlink()


def dangle_data_link(path: Path) -> None:
    (path / (path / "..data").readlink()).rename(path / "..moved")


def become_a_file(path: Path) -> None:
    path.rename(path.with_name("gone"))
    path.write_text("")


def loop(path: Path) -> None:
    path.rename(path.with_name("gone"))
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    "harm", [vanish, lose_data_link, dangle_data_link, unmount, become_a_file, loop], ids=lambda f: f.__name__
)
def test_a_volume_that_vanishes_as_a_whole_removes_no_policy(
    volume: MountedVolume, follower: Follower, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    volume.policies(document("a"))
    follower.poll()
    harm(volume.path)

    for _ in range(3):
        assert follower.poll() == ["shop/a#1"]
    assert follower.errors == {"directory": 1}
    assert len(caplog.records) == 1


def test_a_volume_that_comes_back_is_followed_again(volume: MountedVolume, follower: Follower) -> None:
    volume.policies(document("a"))
    follower.poll()
    unmount(volume.path)
    follower.poll()
    MountedVolume(volume.path).policies(document("b"))

    assert follower.poll() == ["shop/b#1"]


@pytest.mark.parametrize("moment", ["..data", "a.json"])
def test_a_reading_overtaken_by_a_swap_is_begun_anew(
    volume: MountedVolume, follower: Follower, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    volume.policies(document("a"), document("b"))
    follower.poll()
    volume.policies(document("a", generation=2), document("b", generation=2))
    real_open, swaps = os.open, [1]

    def open_and_swap(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = real_open(path, flags, mode, dir_fd=dir_fd)
        if path == moment and swaps:
            swaps.pop()
            volume.policies(document("a", generation=3), document("b", generation=3))
        return descriptor

    monkeypatch.setattr(os, "open", open_and_swap)

    assert follower.poll() == ["shop/a#3", "shop/b#3"]
    assert len(follower.applied) == 2, "nothing was applied in between"
    assert not follower.errors


def test_a_policy_of_another_namespace_is_refused_where_ours_is_known(volume: MountedVolume) -> None:
    follower = Follower(volume.path, namespace="shop")
    volume.policies(document("a"), document("b", namespace="bank"))

    assert follower.poll() == ["shop/a#1"]
    assert follower.errors == {"foreign": 1}
    assert Follower(volume.path).poll() == ["bank/b#1", "shop/a#1"]


def test_of_two_files_that_claim_a_policy_the_one_of_its_name_counts(
    volume: MountedVolume, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    volume.write(
        {"0.json": document("a", generation=9).to_json(), "a.json": document("a", generation=1).to_json()}
    )
    for _ in range(2):
        assert follower.poll() == ["shop/a#1"]
    assert follower.errors == {"duplicate": 1}
    assert "0.json" in caplog.text

    volume.write({"0.json": document("a", generation=9).to_json(), "a.json": "{"})
    assert follower.poll() == ["shop/a#9"]


def test_a_file_of_another_name_still_brings_its_policy(volume: MountedVolume, follower: Follower) -> None:
    volume.write({"other.json": document("a").to_json()})

    assert follower.poll() == ["shop/a#1"]
    assert not follower.errors


def test_the_directory_itself_may_be_unreadable(
    volume: MountedVolume,
    follower: Follower,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    volume.policies(document("a"))
    follower.poll()

    def fail(*_: object) -> list[str]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", fail)
        for _ in range(2):
            assert follower.poll() == ["shop/a#1"]
    assert follower.errors == {"directory": 1}

    follower.poll()
    assert "is in order again" in caplog.text


def test_what_could_not_be_applied_is_applied_at_the_next_poll(volume: MountedVolume) -> None:
    seen: list[object] = []

    def apply(documents: list[PolicyDocument]) -> None:
        seen.append(documents)
        if len(seen) == 1:
            raise RuntimeError

    directory = PolicyDirectory(str(volume.path), apply=apply, count_error=lambda _: None)
    volume.policies(document("a"))
    with pytest.raises(RuntimeError):
        directory.poll()
    directory.poll()

    assert len(seen) == 2


def test_polling_leaves_no_descriptor_open(volume: MountedVolume, follower: Follower) -> None:
    volume.write({"a.json": document("a").to_json(), "b.json": "{"})
    make_pipe(volume.path / "..data" / "c.json")
    follower.poll()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        follower.poll()

    assert len(list(Path("/proc/self/fd").iterdir())) == before

"""State across a restart: slots, damage, full disks, and processes that are killed for real."""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from switchgear.breaker import CircuitBreaker
from switchgear.config import CircuitConfig
from switchgear.snapshots import Snapshot
from switchgear.state_file import LARGEST_STATE, OLDEST_STATE, REFRESH_INTERVAL, StateFile
from switchgear.states import CircuitState
from tests.unit.runtime.support import eventually

NOW = 1_790_000_000.0
OPEN = Snapshot(breaker="payments", state=CircuitState.OPEN, taken_at=NOW, remaining=30.0, reopenings=2)
BLANK = Snapshot(breaker="payments", state=CircuitState.CLOSED, taken_at=NOW)


class Keeper:
    """A state file under test, with what it collects and what it restored."""

    def __init__(self, directory: Path, namespace: str = "") -> None:
        self.now = NOW
        self.snapshots = [OPEN]
        self.restored: list[Snapshot] = []
        self.file = StateFile(
            str(directory),
            collect=lambda: self.snapshots,
            restore=self.restored.extend,
            namespace=namespace,
            clock=lambda: self.now,
        )
        self.file.open()

    def kill(self) -> None:
        """End as a killed process does: the kernel closes the lock, and nothing else happens."""
        self.file.close()


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[Callable[..., Keeper]]:
    made: list[Keeper] = []

    def make(namespace: str = "", directory: Path = tmp_path) -> Keeper:
        made.append(Keeper(directory, namespace))
        return made[-1]

    yield make
    for keeper in made:
        keeper.kill()


Make = Callable[..., Keeper]


def written(keepers: Make) -> Path:
    keeper = keepers()
    keeper.file.write()
    keeper.kill()
    assert keeper.file.path is None
    (path,) = Path(keeper.file._directory).glob("*.state")
    return path


def test_a_successor_inherits_the_state(keepers: Make) -> None:
    written(keepers)

    assert keepers().restored == [OPEN]


def test_two_live_processes_never_share_a_slot(keepers: Make) -> None:
    first, second = keepers(), keepers()
    first.file.write()
    second.snapshots = [BLANK, Snapshot(breaker="x", state=CircuitState.HALF_OPEN, taken_at=NOW)]
    second.file.write()

    assert first.file.path != second.file.path
    second.kill()
    assert [s.breaker for s in keepers().restored] == ["payments", "x"]
    first.kill()
    assert keepers().restored == [OPEN]


def test_it_is_written_only_when_something_changed_or_grows_old(keepers: Make) -> None:
    keeper = keepers()
    keeper.file.write_if_due()
    assert keeper.file.path
    assert not Path(keeper.file.path).exists()

    keeper.file.note_change()
    keeper.file.write_if_due()
    before = Path(keeper.file.path).stat().st_ino
    keeper.file.write_if_due()
    assert Path(keeper.file.path).stat().st_ino == before

    for jump in (REFRESH_INTERVAL, -1e8):
        keeper.now += jump
        keeper.file.write_if_due()
        after = Path(keeper.file.path).stat().st_ino
        assert after != before
        before = after


def test_a_blank_state_is_not_written_unless_it_replaces_another(keepers: Make) -> None:
    keeper = keepers()
    keeper.snapshots = [BLANK]
    keeper.file.write()
    assert keeper.file.path
    assert not Path(keeper.file.path).exists()

    keeper.snapshots = [OPEN]
    keeper.file.write()
    keeper.snapshots = [BLANK]
    keeper.file.write()
    keeper.kill()
    assert keepers().restored == [BLANK]


def test_a_file_torn_at_any_byte_is_ignored(tmp_path: Path, keepers: Make) -> None:
    path = written(keepers)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        keeper = keepers()
        assert keeper.restored == []
        assert keeper.file.errors == {"read": 1}
        keeper.kill()


def test_a_file_with_any_byte_changed_is_ignored(keepers: Make) -> None:
    path = written(keepers)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        keeper = keepers()
        assert keeper.restored == []
        keeper.kill()


def sealed(body: bytes) -> bytes:
    return b"switchgear-state 1 " + sha256(body).hexdigest().encode() + b"\n" + body


def fields(**changes: object) -> bytes:
    document = {"namespace": "", "writtenAt": NOW, "breakers": [OPEN.to_dict()], **changes}
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}",
        os.urandom(1000),
        sealed(fields()).replace(b"state 1", b"state 2"),
        sealed(b""),
        sealed(b"null"),
        sealed(b"[]"),
        sealed(b"\xff"),
        sealed(b"[" * 200_000),
        sealed(b'{"writtenAt":' + b"9" * 10_000 + b"}"),
        sealed(fields(writtenAt="now")),
        sealed(fields(writtenAt=None)),
        sealed(fields(writtenAt=float("nan"))),
        sealed(fields(writtenAt=float("-inf"))),
        sealed(fields(writtenAt="1790000000")),
        sealed(fields(breakers=7)),
        sealed(fields(breakers=[7])),
        sealed(fields(breakers=[{}])),
        sealed(fields(breakers=[{**OPEN.to_dict(), "state": "exploded"}])),
        sealed(fields(breakers=[{**OPEN.to_dict(), "remaining": -1}])),
        sealed(fields(breakers=[{**OPEN.to_dict(), "remaining": 1e300}])),
    ],
)
def test_what_is_no_state_is_ignored_with_one_warning(
    keepers: Make, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = written(keepers)
    path.write_bytes(content)
    keeper = keepers()

    assert keeper.restored == []
    assert keeper.file.errors == {"read": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert len(caplog.text) < 1000
    keeper.file.write()
    keeper.kill()
    assert keepers().restored == [OPEN]


YEAR = 365 * 86400.0
CLOSED = Snapshot(breaker="orders", state=CircuitState.CLOSED, taken_at=NOW, row=3)


@pytest.mark.parametrize("ahead", [1.0, 61.0, 2 * OLDEST_STATE, 50 * YEAR])
def test_a_state_from_the_future_is_inherited_whole(
    keepers: Make, caplog: pytest.LogCaptureFixture, ahead: float
) -> None:
    caplog.set_level("INFO")
    path = written(keepers)
    future = [replace(OPEN, taken_at=NOW + ahead), replace(CLOSED, taken_at=NOW + ahead)]
    path.write_bytes(sealed(fields(writtenAt=NOW + ahead, breakers=[s.to_dict() for s in future])))

    keeper = keepers()
    assert keeper.restored == future
    assert keeper.file.errors == {}
    told = f"was written {ahead:.0f} s ahead of the clock" if ahead > 60 else ""
    assert [told in r.getMessage() for r in caplog.records] == ([True] if told else [])


@pytest.mark.parametrize("state", [CircuitState.OPEN, CircuitState.HALF_OPEN])
@pytest.mark.parametrize("age", [OLDEST_STATE + 1, 50 * YEAR])
def test_of_an_old_state_only_circuits_that_were_not_closed_are_inherited(
    keepers: Make, caplog: pytest.LogCaptureFixture, age: float, state: CircuitState
) -> None:
    caplog.set_level("INFO")
    path = written(keepers)
    old = [replace(OPEN, state=state, taken_at=NOW - age), replace(CLOSED, taken_at=NOW - age)]
    path.write_bytes(sealed(fields(writtenAt=NOW - age, breakers=[s.to_dict() for s in old])))

    keeper = keepers()
    assert keeper.restored == old[:1]
    assert keeper.file.errors == {}
    (record,) = caplog.records
    assert f"was written {age:.0f} s ago, more than 3600 s: 1 closed circuits start" in record.getMessage()


def test_a_time_of_writing_before_the_epoch_is_merely_old(keepers: Make) -> None:
    path = written(keepers)
    path.write_bytes(sealed(fields(writtenAt=-5.0)))

    assert keepers().restored == [OPEN]


@pytest.mark.parametrize("jump", [-YEAR, -300.0, 300.0, YEAR])
def test_an_open_circuit_is_never_closed_by_a_clock_that_was_set(tmp_path: Path, jump: float) -> None:
    def breaker(now: float) -> CircuitBreaker:
        config = CircuitConfig(consecutive_failures=1, open_duration=600, max_open_duration=600)
        return CircuitBreaker("payments", config, wall_clock=lambda: now)

    first, second = breaker(NOW), breaker(NOW + jump)
    first.trip()
    for now, one in ((NOW, first), (NOW + jump, second)):
        file = StateFile(
            str(tmp_path),
            collect=lambda one=one: [one.snapshot()],  # type: ignore[misc]  # the loop's value, bound now
            restore=lambda found, one=one: [one.restore(s) for s in found],  # type: ignore[misc]  # as above
            clock=lambda now=now: now,  # type: ignore[misc]  # as above
        )
        file.open()
        file.write()
        file.close()

    assert second.state is (CircuitState.OPEN if jump < 600 else CircuitState.HALF_OPEN)


def test_a_snapshot_that_nobody_claimed_for_long_is_dropped(keepers: Make) -> None:
    path = written(keepers)
    stale = {**OPEN.to_dict(), "takenAt": NOW - OLDEST_STATE - 1}
    path.write_bytes(sealed(fields(breakers=[stale, OPEN.to_dict()])))

    assert keepers().restored == [OPEN]


def test_a_state_of_another_namespace_is_foreign(keepers: Make) -> None:
    keeper = keepers("shop")
    keeper.file.write()
    keeper.kill()

    other = keepers("bank")
    assert other.restored == []
    assert other.file.errors == {"read": 1}


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST_STATE + 1)


def make_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, make_huge, make_link])
def test_what_is_no_plain_file_in_its_place_is_ignored(
    keepers: Make, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    path = written(keepers)
    path.unlink()
    make(path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    keeper = keepers()
    assert keeper.restored == []
    assert keeper.file.errors == {"read": 1}
    assert f"state: {path} is ignored: " in caplog.text
    assert "Errno" not in caplog.text
    keeper.kill()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_that_cannot_be_made_is_told_once_and_tried_again(
    tmp_path: Path, keepers: Make, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    keeper = keepers(directory=blocker / "state")
    for _ in range(3):
        keeper.file.write()
    assert keeper.file.errors == {"directory": 1}
    assert len(caplog.records) == 1

    assert keeper.file.write_if_due() is False
    blocker.unlink()
    assert keeper.file.write_if_due() is True
    assert keeper.file.path
    assert Path(keeper.file.path).exists()


def test_a_directory_that_nobody_may_write_to_is_told_once(
    keepers: Make, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keepers(directory=Path("/proc/self/fdinfo/state"))  # not even root can make files there
    for _ in range(3):
        keeper.file.write()

    assert keeper.file.errors == {"directory": 1}
    assert len(caplog.records) == 1


def test_a_full_disk_is_told_once_and_leaves_the_last_state(
    keepers: Make, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = keepers()
    keeper.file.write()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    keeper.snapshots = [BLANK]
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        assert [keeper.file.write_if_due() for _ in range(3)] == [True, True, True], "nothing was due"
        keeper.file.note_change()
        assert [keeper.file.write_if_due() for _ in range(3)] == [False, False, False]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert keeper.file.errors == {"write": 1}
    assert len(caplog.records) == 1
    assert keeper.file.path
    assert not list(Path(keeper.file.path).parent.glob("*.new"))
    keeper.kill()
    successor = keepers()
    assert successor.restored == [OPEN]

    successor.snapshots = [BLANK]
    successor.file.write()
    successor.kill()
    assert keepers().restored == [BLANK]


def test_what_collecting_raises_is_written_at_the_next_occasion(keepers: Make) -> None:
    keeper = keepers()
    keeper.snapshots = None  # type: ignore[assignment]  # on purpose: collecting it cannot work
    with pytest.raises(TypeError):
        keeper.file.write()
    keeper.snapshots = [OPEN]
    keeper.file.write_if_due()

    assert keeper.file.path
    assert Path(keeper.file.path).exists()


PROGRAM = textwrap.dedent(
    """
    import logging, sys
    import switchgear
    from switchgear import CircuitConfig

    logging.basicConfig(level=logging.INFO)
    switchgear.configure(state_dir=sys.argv[1], policy_dir=sys.argv[1] + "/none")
    breaker = switchgear.breaker("payments", CircuitConfig(consecutive_failures=1, open_duration=600, max_open_duration=600))
    print(breaker.state.value, flush=True)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
    """
)


class Process:
    """A real workload, told what to do line by line."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.state_at_start = self.read()

    def read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def do(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self.read() == "done"

    def end(self, how: signal.Signals | None = signal.SIGKILL) -> None:
        if how is not None:
            self._process.send_signal(how)
        assert self._process.stdin and self._process.stdout  # noqa: PT018  # both are pipes
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


def states_in(directory: Path) -> list[str]:
    return sorted(
        breaker["state"]
        for path in directory.glob("*.state")
        for breaker in json.loads(path.read_bytes().partition(b"\n")[2])["breakers"]
    )


def test_a_process_killed_with_sigkill_leaves_its_open_circuit_to_its_successor(tmp_path: Path) -> None:
    first, second = Process(tmp_path), Process(tmp_path)
    first.do("breaker.acquire().failure()")
    eventually(lambda: states_in(tmp_path) == ["open"])
    first.end()

    third = Process(tmp_path)
    assert (first.state_at_start, second.state_at_start, third.state_at_start) == ("closed", "closed", "open")
    third.end()
    second.end()


def test_a_process_killed_while_it_writes_leaves_a_whole_state(tmp_path: Path) -> None:
    for _ in range(5):
        process = Process(tmp_path)
        process.do(
            "import threading; from switchgear.runtime import _runtime; write = _runtime.state_file.write"
        )
        process.do("breaker.reset(); breaker.trip()")
        process.do("threading.Thread(target=lambda: [write() for _ in iter(int, 1)], daemon=True).start()")
        eventually(lambda: states_in(tmp_path) == ["open"])
        process.end()

        successor = Process(tmp_path)
        assert successor.state_at_start == "open"
        successor.end()


def test_what_changed_last_is_written_at_a_regular_exit(tmp_path: Path) -> None:
    first = Process(tmp_path)
    first.do("breaker.on_transition(lambda t: None); breaker.acquire().failure()")
    first.end(None)

    second = Process(tmp_path)
    assert second.state_at_start == "open"
    second.end()


def test_a_forked_child_takes_a_slot_of_its_own_and_its_parent_keeps_its_own(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.do("import os; from pathlib import Path; from switchgear.runtime import _runtime")
    process.do("slot = lambda who: Path(sys.argv[1], who).write_text(_runtime.state_file.path)")
    process.do("pid = os.fork(); pid or (slot('child'), os._exit(0)); os.waitpid(pid, 0); slot('parent')")
    assert (tmp_path / "child").read_text() == f"{tmp_path}/switchgear-1.state"
    assert (tmp_path / "parent").read_text() == f"{tmp_path}/switchgear-0.state"

    other = Process(tmp_path)
    process.do("breaker.acquire().failure()")
    eventually(lambda: states_in(tmp_path) == ["open"])
    assert (tmp_path / "switchgear-0.state").exists(), "the child's end did not free its parent's slot"
    other.end()
    process.end()

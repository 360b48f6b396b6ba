"""`configure()` and the public API, in processes of their own: what a workload sees."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import switchgear
from switchgear.config import CircuitConfig, Mode
from switchgear.settings import Settings, check_arguments, read_environment
from switchgear.targets import HostTarget, NameTarget
from tests.unit.runtime.support import MountedVolume, document, eventually

STRICT = CircuitConfig(consecutive_failures=1, open_duration=60)

CHILD = """
import json, os, sys, threading, logging
import switchgear
from switchgear import CircuitConfig
from switchgear.runtime import _runtime, metrics_port
from tests.unit.runtime.support import eventually
for line in sys.stdin:
    try:
        answer = eval(line)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer, default=repr), flush=True)
"""


class Workload:
    """A process that imported switchgear and evaluates what it is asked."""

    def __init__(self, log: Path, **environ: str) -> None:
        self.log_path = log
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), **environ},
                start_new_session=True,
            )

    def ask(self, expression: str) -> object:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    @property
    def log(self) -> list[str]:
        return self.log_path.read_text().splitlines()

    def scrape(self) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ask('switchgear.metrics_port()')}/metrics", timeout=20
        ) as answer:
            return str(answer.read().decode())

    def end(self, how: signal.Signals | None = None) -> int:
        if how is not None:
            self._process.send_signal(how)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        code = self._process.wait(20)
        self._process.stdout.close()
        return code


Start = Callable[..., Workload]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Workload] = []

    def start(**environ: str) -> Workload:
        started.append(Workload(tmp_path / f"log{len(started)}", **environ))
        return started[-1]

    yield start
    for workload in started:
        workload.end(signal.SIGKILL)


@pytest.fixture
def volume(tmp_path: Path) -> MountedVolume:
    return MountedVolume(tmp_path / "mount")


def test_policies_that_are_there_are_in_force_when_configure_returns(
    start: Start, volume: MountedVolume
) -> None:
    volume.policies(document("orders-db", config=STRICT))
    workload = start(SWITCHGEAR_POLICY_DIR=str(volume.path))

    assert workload.ask("switchgear.breaker('orders-db').policy") == ""
    workload.ask("switchgear.configure()")
    assert workload.ask("switchgear.breaker('orders-db').policy") == "shop/orders-db"


def test_a_running_workload_follows_its_volume(start: Start, volume: MountedVolume) -> None:
    workload = start()
    workload.ask(f"switchgear.configure(policy_dir={str(volume.path)!r}, poll_interval=0.02)")
    volume.policies(document("api", target=HostTarget("api.example"), config=STRICT))
    eventually(lambda: workload.ask("switchgear.breaker_for('http://api.example').policy") == "shop/api")

    forced = CircuitConfig(mode=Mode.FORCE_OPEN)
    volume.policies(document("api", target=HostTarget("api.example"), config=forced))
    eventually(
        lambda: workload.ask("switchgear.breaker_for('http://api.example').state.value") == "forced_open"
    )

    volume.write({})
    eventually(lambda: workload.ask("switchgear.breaker_for('http://api.example').state.value") == "disabled")


def test_a_mount_that_does_not_exist_yet_is_one_log_line_and_is_picked_up(
    start: Start, tmp_path: Path
) -> None:
    workload = start()
    mount = tmp_path / "later"
    workload.ask(f"switchgear.configure(policy_dir={str(mount)!r}, poll_interval=0.01)")
    assert [line for line in workload.log if "policies" in line] == [
        f"policies: {mount} is not there yet; calls go by their code defaults until it appears"
    ]

    MountedVolume(mount).policies(document("x", config=STRICT))
    eventually(lambda: workload.ask("switchgear.breaker('x').policy") == "shop/x")
    assert len([line for line in workload.log if "policies" in line]) == 1


def test_the_default_mount_is_looked_for_without_any_setting(start: Start) -> None:
    workload = start()
    workload.ask("switchgear.configure()")

    assert workload.ask("_runtime._source[0]") == ["/etc/switchgear", 1.0, ""]


def test_metrics_show_generation_breakers_and_errors(start: Start, volume: MountedVolume) -> None:
    volume.write({"x.json": document("x", generation=3, config=STRICT).to_json(), "y.json": "{"})
    workload = start(
        SWITCHGEAR_POLICY_DIR=str(volume.path),
        SWITCHGEAR_METRICS_PORT="0",
        SWITCHGEAR_METRICS_ADDRESS="127.0.0.1",
    )
    workload.ask("switchgear.configure()")
    workload.ask("switchgear.breaker('x').acquire().failure(ValueError())")
    text = workload.scrape()

    assert 'switchgear_policy_generation{policy="shop/x",uid="u1"} 3\n' in text
    assert 'switchgear_policy_load_errors_total{reason="malformed"} 1\n' in text
    assert 'switchgear_breaker_state{breaker="x",policy="shop/x",state="open"} 1\n' in text


def test_a_port_in_use_is_one_log_line_and_the_workload_goes_on(start: Start) -> None:
    first, second = start(), start()
    first.ask("switchgear.configure(metrics_port=0, metrics_address='127.0.0.1')")
    port = first.ask("switchgear.metrics_port()")
    second.ask(f"switchgear.configure(metrics_port={port}, metrics_address='127.0.0.1')")

    assert second.ask("switchgear.breaker('x').call(lambda: 7)") == 7
    assert len([line for line in second.log if f"cannot listen on 127.0.0.1, port {port}" in line]) == 1
    second.ask("switchgear.configure(metrics_port=0)")
    assert "switchgear_library_info" in second.scrape()


def test_calling_it_again_changes_nothing_or_what_is_given(
    start: Start, volume: MountedVolume, tmp_path: Path
) -> None:
    volume.policies(document("x", config=STRICT))
    workload = start()
    configure = (
        f"switchgear.configure(policy_dir={str(volume.path)!r}, metrics_port=0, metrics_address='127.0.0.1')"
    )
    workload.ask(configure)
    before = workload.ask("[id(_runtime._source[1]), id(_runtime._server[1]), threading.active_count()]")
    workload.ask(configure)
    workload.ask("switchgear.configure()")
    assert (
        workload.ask("[id(_runtime._source[1]), id(_runtime._server[1]), threading.active_count()]") == before
    )

    other = MountedVolume(tmp_path / "other")
    workload.ask(f"switchgear.configure(policy_dir={str(other.path / 'missing')!r})")
    assert workload.ask("switchgear.breaker('x').policy") == "shop/x", "kept until the new place can be read"
    other.policies(document("y", target=NameTarget("x"), config=STRICT))
    workload.ask(f"switchgear.configure(policy_dir={str(other.path)!r})")
    assert workload.ask("switchgear.breaker('x').policy") == "shop/y"
    assert workload.ask("threading.active_count()") == before[2]  # type: ignore[index]  # a list, by its question


def test_the_namespace_keeps_policies_of_others_out(start: Start, volume: MountedVolume) -> None:
    volume.policies(document("x", namespace="bank", config=STRICT))
    workload = start(SWITCHGEAR_NAMESPACE="shop", SWITCHGEAR_POLICY_DIR=str(volume.path))
    workload.ask("switchgear.configure()")
    assert workload.ask("switchgear.breaker('x').policy") == ""

    workload.ask("switchgear.configure(namespace='bank')")
    assert workload.ask("switchgear.breaker('x').policy") == "bank/x"


def test_a_forked_worker_follows_policies_on_its_own(
    start: Start, volume: MountedVolume, tmp_path: Path
) -> None:
    workload = start()
    workload.ask(f"switchgear.configure(policy_dir={str(volume.path)!r}, poll_interval=0.01)")
    done = tmp_path / "done"
    workload.ask(
        "os.fork() or (eventually(lambda: switchgear.breaker('x').policy == 'shop/x'), "
        f"open({str(done)!r}, 'w').close(), os._exit(0))"
    )
    volume.policies(document("x", config=STRICT))

    eventually(done.exists)


def test_trouble_with_the_state_directory_leaves_calls_alone_and_is_counted(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    workload = start()
    workload.ask(
        f"switchgear.configure(state_dir={str(tmp_path / 'file' / 'state')!r}, metrics_port=0, "
        "metrics_address='127.0.0.1')"
    )
    workload.ask("switchgear.breaker('x', CircuitConfig(consecutive_failures=1)).acquire().failure()")

    assert workload.ask("switchgear.breaker('x').state.value") == "open"
    assert 'switchgear_state_file_errors_total{reason="directory"} 1\n' in workload.scrape()
    assert len([line for line in workload.log if line.startswith("state:")]) == 1


def test_a_workload_ends_at_once_whatever_is_configured(
    start: Start, volume: MountedVolume, tmp_path: Path
) -> None:
    workload = start()
    workload.ask(
        f"switchgear.configure(policy_dir={str(volume.path)!r}, state_dir={str(tmp_path / 's')!r}, metrics_port=0)"
    )

    assert workload.end() == 0
    assert workload.log == []


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("SWITCHGEAR_METRICS_PORT", "http", "give a port from 1 to 65535"),
        ("SWITCHGEAR_METRICS_PORT", "65536", "give a port from 1 to 65535"),
        ("SWITCHGEAR_METRICS_PORT", "-1", "give a port from 1 to 65535"),
        ("SWITCHGEAR_METRICS_PORT", "９", "give a port from 1 to 65535"),
        ("SWITCHGEAR_METRICS_ADDRESS", "nope nope", "give an IP address or a host name"),
        ("SWITCHGEAR_POLICY_DIR", __file__, "give the path of a directory"),
        ("SWITCHGEAR_POLICY_DIR", "a\0b", "give the path of a directory"),
        ("SWITCHGEAR_STATE_DIR", __file__, "give the path of a directory"),
    ],
)
def test_a_bad_variable_is_refused_by_name_with_its_value_and_the_remedy(
    variable: str, value: str, remedy: str
) -> None:
    with pytest.raises(ValueError, match=f"^{variable} is ") as caught:
        read_environment({variable: value})

    assert repr(value).strip("'") in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("metrics_port", -1),
        ("metrics_port", 65536),
        ("metrics_port", "9464"),
        ("metrics_port", True),
        ("metrics_address", 7),
        ("metrics_address", "nope nope"),
        ("metrics_address", "127.0.0.1:9464"),
        ("metrics_address", "a/b"),
        ("metrics_address", "-a"),
        ("metrics_address", "a." * 130),
        ("policy_dir", __file__),
        ("policy_dir", ""),
        ("policy_dir", 7),
        ("policy_dir", b"bytes"),
        ("state_dir", __file__),
        ("namespace", "Shop"),
        ("namespace", 7),
        ("poll_interval", 0),
        ("poll_interval", float("nan")),
        ("poll_interval", "1"),
    ],
)
def test_a_bad_argument_is_refused_by_name_with_its_value(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{argument} is ") as caught:
        switchgear.configure(**{argument: value})  # type: ignore[arg-type]  # on purpose

    assert repr(value) in str(caught.value)
    assert "give" in str(caught.value)


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1", "::", "fe80::1%eth0", "localhost", "a-b.c_d.example", "a.example."]
)
def test_an_address_or_a_host_name_is_taken_as_it_is(address: str) -> None:
    assert read_environment({"SWITCHGEAR_METRICS_ADDRESS": address}).metrics_address == (address or None)


def test_an_empty_variable_is_as_good_as_none() -> None:
    names = ("POLICY_DIR", "METRICS_PORT", "METRICS_ADDRESS", "STATE_DIR")

    assert read_environment({f"SWITCHGEAR_{name}": "" for name in names}) == Settings()


def test_a_relative_directory_is_meant_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = dict.fromkeys(("metrics_port", "metrics_address", "namespace", "poll_interval"))

    settings = check_arguments(policy_dir="policies", state_dir=Path("state"), **nothing)
    assert (settings.policy_dir, settings.state_dir) == (f"{tmp_path}/policies", f"{tmp_path}/state")


def test_everything_that_is_public_is_there_and_sorted() -> None:
    assert switchgear.__all__ == sorted(switchgear.__all__)
    for name in switchgear.__all__:
        assert getattr(switchgear, name)


def test_breaker_is_the_function_even_after_its_module_is_imported() -> None:
    import switchgear.breaker

    assert callable(switchgear.breaker)


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_importing_switchgear_brings_the_standard_library_alone() -> None:
    foreign = run(
        "import sys; import switchgear; from switchgear import policy, server, directory, state_file, metrics\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(n for n in names - set(sys.stdlib_module_names) if not n.startswith(('_', 'switchgear'))))"
    )

    assert foreign == "[]\n"


def test_importing_switchgear_alone_brings_no_server_no_parser_and_no_event_loop() -> None:
    brought = run(
        "import sys; import switchgear\n"
        "print([n for n in ('http.server', 'json', 'asyncio', 'socket', 'hashlib') if n in sys.modules])"
    )

    assert brought == "[]\n"

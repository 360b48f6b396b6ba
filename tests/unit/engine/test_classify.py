"""Which outcomes are failures: by exception, import path, group, gRPC status, result and HTTP status."""

import asyncio
import importlib
import logging
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from threading import Thread
from typing import Any

import grpc  # type: ignore[import-untyped]  # it comes without types
import pytest

from switchgear import CircuitConfig, CircuitOpenError, CircuitState, Outcome
from switchgear.classify import Classifier, error_name

from .support import BrokenError, fail_with, make, totals

FAILURE, SUCCESS, IGNORED, CANCELLED = Outcome.FAILURE, Outcome.SUCCESS, Outcome.IGNORED, Outcome.CANCELLED


def judge(error: BaseException, **config: Any) -> Outcome:
    return Classifier(CircuitConfig(**config)).of_exception(error)


class _HostileType(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in {"__module__", "__qualname__", "__name__"}:
            raise RuntimeError("no")
        return super().__getattribute__(name)


class _NamelessError(Exception, metaclass=_HostileType):
    pass


class _FacelessError(Exception):
    @property  # type: ignore[misc]  # isinstance asks for it
    def __class__(self) -> Any:
        raise RuntimeError("no")


class TestExceptions:
    @pytest.mark.parametrize("kind", [_NamelessError, _FacelessError], ids=["nameless", "faceless"])
    def test_a_hostile_exception_reaches_its_caller_and_is_a_failure(self, kind: type[Exception]) -> None:
        breaker = make()
        error = kind()
        fail_with(breaker, error)
        with pytest.raises(kind) as caught, breaker:
            raise error
        assert caught.value is error
        breaker.acquire().failure(error)
        assert totals(breaker) == {"failure": 3}
        assert breaker.reading().in_flight == 0
        assert error_name(_NamelessError()) == "Exception"

    def test_a_rejection_by_a_breaker_inside_says_nothing_about_the_target(self) -> None:
        inner, outer = make(), make(consecutive_failures=1)
        inner.trip()
        for _ in range(3):
            with pytest.raises(CircuitOpenError):
                outer.call(inner.call, str)
        assert totals(outer) == {"ignored": 3}
        rejection = CircuitOpenError("inner", CircuitState.OPEN)
        assert judge(rejection, failure_exceptions=(OSError,)) is IGNORED
        assert judge(rejection, failure_exceptions=(CircuitOpenError,)) is FAILURE
        assert judge(rejection, failure_exceptions=("switchgear.CircuitOpenError",)) is FAILURE
        assert judge(ExceptionGroup("two", [rejection, KeyError()])) is FAILURE

    def test_without_lists_every_exception_is_a_failure(self) -> None:
        assert judge(BrokenError()) is FAILURE
        assert judge(AssertionError()) is FAILURE

    @pytest.mark.parametrize(
        "error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()]
    )
    def test_what_is_not_an_exception_is_a_cancellation_unless_listed(self, error: BaseException) -> None:
        assert judge(error) is CANCELLED
        assert judge(error, failure_exceptions=(type(error),)) is FAILURE
        assert judge(error, ignored_exceptions=(type(error),)) is IGNORED

    def test_with_a_list_any_other_exception_is_an_answer(self) -> None:
        assert judge(TimeoutError(), failure_exceptions=(OSError,)) is FAILURE
        assert judge(ValueError(), failure_exceptions=(OSError,)) is SUCCESS

    def test_ignored_wins(self) -> None:
        assert judge(TimeoutError(), failure_exceptions=(OSError,), ignored_exceptions=(OSError,)) is IGNORED
        assert judge(KeyError(), ignored_exceptions=(LookupError,)) is IGNORED

    def test_import_paths_mean_what_types_mean(self) -> None:
        assert judge(ConnectionResetError(), failure_exceptions=("ConnectionError",)) is FAILURE
        assert judge(ConnectionResetError(), failure_exceptions=("builtins.ConnectionError",)) is FAILURE
        assert judge(BrokenError(), ignored_exceptions=(f"{__package__}.support.BrokenError",)) is IGNORED
        assert judge(ValueError(), failure_exceptions=("asyncio.IncompleteReadError",)) is SUCCESS

    def test_a_type_that_cannot_be_compared_spoils_no_call(self, caplog: pytest.LogCaptureFixture) -> None:
        class Hostile(type):
            def __instancecheck__(cls, instance: object) -> bool:
                raise RuntimeError("no")

        class HostileError(Exception, metaclass=Hostile):
            pass

        assert judge(BrokenError(), ignored_exceptions=(HostileError,)) is FAILURE
        assert "could not be compared" in caplog.text

    def test_an_error_whose_attributes_raise_is_still_a_failure(self) -> None:
        class HostileError(Exception):
            def __getattr__(self, name: str) -> object:
                raise RuntimeError(name)

            def code(self) -> object:
                raise RuntimeError("no code")

        assert judge(HostileError()) is FAILURE


class TestGroups:
    def test_a_group_is_a_failure_if_one_of_its_exceptions_is(self) -> None:
        group = ExceptionGroup("", [KeyError(), ExceptionGroup("", [BrokenError()])])
        assert judge(group, ignored_exceptions=(KeyError,)) is FAILURE

    def test_a_group_of_ignored_exceptions_is_ignored(self) -> None:
        group = ExceptionGroup("", [KeyError(), KeyError()])
        assert judge(group, ignored_exceptions=(KeyError,)) is IGNORED

    def test_a_group_of_answers_is_an_answer(self) -> None:
        assert judge(ExceptionGroup("", [KeyError()]), failure_exceptions=(OSError,)) is SUCCESS

    def test_a_group_of_cancellations_is_one(self) -> None:
        assert judge(BaseExceptionGroup("", [asyncio.CancelledError(), KeyboardInterrupt()])) is CANCELLED

    def test_a_group_that_is_listed_itself_is_judged_as_listed(self) -> None:
        assert judge(ExceptionGroup("", [BrokenError()]), ignored_exceptions=(ExceptionGroup,)) is IGNORED

    def test_a_group_may_be_nested_thousands_deep(self) -> None:
        group: Exception = BrokenError()
        for _ in range(5000):
            group = ExceptionGroup("", [group])
        assert judge(group) is FAILURE


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with errors that nobody has imported yet."""
    (tmp_path / "notyet").mkdir()
    (tmp_path / "notyet" / "__init__.py").write_text("class PlainError(Exception): pass\n")
    (tmp_path / "notyet" / "errors.py").write_text(
        "class Outer:\n    class NestedError(Exception): pass\nclass DeepError(Exception): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "notyet"
    for name in [name for name in sys.modules if name.split(".")[0] == "notyet"]:
        del sys.modules[name]


class TestImportPaths:
    def test_judging_imports_nothing(self, package: str) -> None:
        classifier = Classifier(
            CircuitConfig(failure_exceptions=("notyet.PlainError", "notyet.errors.DeepError"))
        )
        assert classifier.of_exception(BrokenError()) is SUCCESS
        assert package not in sys.modules
        assert classifier.unknown == ()

    @pytest.mark.parametrize(
        "name", ["notyet.PlainError", "notyet.errors.DeepError", "notyet.errors.Outer.NestedError"]
    )
    def test_a_path_counts_as_soon_as_its_module_is_imported(self, package: str, name: str) -> None:
        classifier = Classifier(CircuitConfig(ignored_exceptions=(name,)))
        assert classifier.of_exception(BrokenError()) is FAILURE
        importlib.import_module(package)
        assert classifier.of_exception(BrokenError()) is FAILURE
        errors = importlib.import_module(f"{package}.errors")
        kinds = {
            "PlainError": sys.modules[package].PlainError,
            "DeepError": errors.DeepError,
            "NestedError": errors.Outer.NestedError,
        }
        assert classifier.of_exception(kinds[name.rpartition(".")[2]]()) is IGNORED
        assert classifier.unknown == ()

    @pytest.mark.parametrize(
        "name",
        [
            "no.such.Error",
            "nosuchbuiltin",
            "builtins.NoSuchError",
            "asyncio.NoSuchError",
            "asyncio.nosuchmodule.Error",
            "json.JSONDecoder",  # not an exception
            "os.path",
        ],
    )
    def test_a_path_that_cannot_exist_is_reported_once_and_is_not_fatal(
        self, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        classifier = Classifier(CircuitConfig(ignored_exceptions=(name,)))
        for _ in range(3):
            assert classifier.of_exception(BrokenError()) is FAILURE
        assert classifier.unknown == (name,)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]

    def test_an_unknown_path_shows_in_the_reading(self) -> None:
        breaker = make(failure_exceptions=("no.such.Error",))
        breaker.acquire().failure(BrokenError())
        assert breaker.reading().unknown_exceptions == ("no.such.Error",)

    def test_many_threads_report_it_once_and_resolve_all(self, caplog: pytest.LogCaptureFixture) -> None:
        names = ("no.such.Error", "KeyError", "ConnectionError", "asyncio.InvalidStateError")
        classifier = Classifier(CircuitConfig(ignored_exceptions=names))
        seen: list[Outcome] = []
        threads = [
            Thread(target=lambda: seen.append(classifier.of_exception(ConnectionError()))) for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(seen) == {IGNORED}
        assert classifier.of_exception(asyncio.InvalidStateError()) is IGNORED
        assert classifier.of_exception(KeyError()) is IGNORED
        assert len(caplog.records) == 1

    def test_a_path_that_is_waited_for_costs_no_search_per_failure(
        self, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        classifier = Classifier(CircuitConfig(ignored_exceptions=("notyet.PlainError",)))
        classifier.of_exception(BrokenError())
        monkeypatch.setattr(sys, "path", [])
        importlib.invalidate_caches()
        assert classifier.of_exception(BrokenError()) is FAILURE
        assert classifier.unknown == ()


class TestResults:
    def test_failure_result_judges_what_was_returned(self) -> None:
        breaker = make(failure_result=lambda result: result is None)
        assert breaker.call(lambda: None) is None
        assert breaker.call(lambda: 1) == 1
        breaker.acquire().success(None)
        breaker.acquire().success()
        assert totals(breaker) == {"failure": 2, "success": 2}

    def test_a_predicate_that_raises_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        def predicate(result: object) -> bool:
            raise BrokenError

        breaker = make(failure_result=predicate)
        assert breaker.call(lambda: 1) == 1
        assert totals(breaker) == {"success": 1}
        assert "failure_result raised" in caplog.text

    def test_the_predicate_runs_without_the_lock(self) -> None:
        held: list[bool] = []

        def predicate(result: object) -> bool:
            held.append(breaker._lock.is_held())
            return False

        breaker = make(failure_result=predicate)
        breaker.call(lambda: 1)
        assert held == [False]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, SUCCESS),
        (404, SUCCESS),
        (429, FAILURE),
        (500, FAILURE),
        (503, IGNORED),
        (599, FAILURE),
        (302, IGNORED),
    ],
)
def test_http_statuses(status: int, outcome: Outcome) -> None:
    classifier = Classifier(
        CircuitConfig(failure_http_statuses=("5xx", "429"), ignored_http_statuses=("503", "3xx"))
    )
    assert classifier.of_http_status(status) is outcome


class TestGrpc:
    """A real server and a real channel, on loopback."""

    @pytest.fixture
    def channel(self) -> Iterator[grpc.Channel]:
        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            code = grpc.StatusCode[request.decode()]
            if code is not grpc.StatusCode.OK:
                context.abort(code, "as asked")
            return b"fine"

        methods = {"Do": grpc.unary_unary_rpc_method_handler(handle)}
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        server.stop(None).wait()

    @pytest.mark.parametrize(
        ("code", "config", "outcome"),
        [
            ("OK", {}, SUCCESS),
            ("UNAVAILABLE", {}, FAILURE),
            ("DEADLINE_EXCEEDED", {}, FAILURE),
            ("NOT_FOUND", {}, SUCCESS),
            ("NOT_FOUND", {"failure_grpc_statuses": ("NOT_FOUND",)}, FAILURE),
            ("UNAVAILABLE", {"failure_grpc_statuses": ()}, SUCCESS),
            ("UNAVAILABLE", {"failure_exceptions": (OSError,)}, FAILURE),
            ("NOT_FOUND", {"failure_exceptions": ("grpc.RpcError",)}, FAILURE),
            ("UNAVAILABLE", {"ignored_exceptions": ("grpc.RpcError",)}, IGNORED),
        ],
    )
    def test_a_grpc_error_is_judged_by_its_status(
        self, channel: grpc.Channel, code: str, config: dict[str, Any], outcome: Outcome
    ) -> None:
        breaker = make(**config)
        call = channel.unary_unary("/test.Service/Do")
        if code == "OK":
            assert breaker.call(call, code.encode()) == b"fine"
        else:
            with pytest.raises(grpc.RpcError):
                breaker.call(call, code.encode())
        assert totals(breaker) == {outcome.value: 1}


def test_error_names_are_those_that_users_write() -> None:
    assert error_name(TimeoutError()) == "TimeoutError"
    assert error_name(BrokenError()) == f"{__package__}.support.BrokenError"
    assert error_name(None) is None

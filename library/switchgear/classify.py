"""Whether a call failed: by its exception, its result, its HTTP status or its gRPC status."""

import logging
import sys
from importlib.util import find_spec

from .config import CircuitConfig
from .errors import CircuitOpenError
from .states import Outcome

__all__ = ["Classifier", "error_name"]

_log = logging.getLogger("switchgear")
_GRAVEST_FIRST = (Outcome.FAILURE, Outcome.CANCELLED, Outcome.SUCCESS, Outcome.IGNORED)


class Classifier:
    """Judges outcomes by one config.

    Exceptions given as import paths are looked up among the modules that are loaded when a call fails: a policy
    makes no process import anything. A path that cannot exist is logged once and counted in `unknown`.
    """

    __slots__ = ("_config", "_failures", "_ignored")

    def __init__(self, config: CircuitConfig) -> None:
        self._config = config
        self._failures = _ExceptionTypes(config.failure_exceptions)
        self._ignored = _ExceptionTypes(config.ignored_exceptions)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Import paths of exceptions that were found not to exist."""
        return (*self._failures.unknown, *self._ignored.unknown)

    def of_exception(self, error: BaseException) -> Outcome:
        """Ignored exceptions first, then failures; what is neither was still an answer of the target: a success.

        What is not an `Exception` (a cancellation, an exit) counts only if it is listed, and so does the rejection by
        a breaker inside the call, which says nothing about the target. A group that is not listed itself is what its
        exceptions come to: a failure if one of them is, else cancelled, else a success, else ignored.
        """
        try:
            return self._judged(error)
        except Exception:  # it has attributes of its own making
            _log.error("an exception cannot be judged; the call counts as a failure")  # nor shown
            return Outcome.FAILURE

    def _judged(self, error: BaseException) -> Outcome:
        if not isinstance(error, BaseExceptionGroup) or self._is_listed(error):
            return self._of_one(error)
        found = set()
        waiting: list[BaseException] = [*error.exceptions]
        while waiting:  # no recursion: a group may be nested as deep as it likes
            inner = waiting.pop()
            if isinstance(inner, BaseExceptionGroup) and not self._is_listed(inner):
                waiting.extend(inner.exceptions)
            else:
                found.add(self._of_one(inner))
        return min(found, key=_GRAVEST_FIRST.index)

    def _is_listed(self, error: BaseException) -> bool:
        return self._ignored.match(error) or self._failures.match(error)

    def _of_one(self, error: BaseException) -> Outcome:
        if self._ignored.match(error):
            return Outcome.IGNORED
        if self._failures.match(error):
            return Outcome.FAILURE
        if not isinstance(error, Exception):
            return Outcome.CANCELLED
        if isinstance(error, CircuitOpenError):
            return Outcome.IGNORED
        code = _grpc_code(error)
        if code is not None:
            return Outcome.FAILURE if code in self._config.failure_grpc_statuses else Outcome.SUCCESS
        return Outcome.SUCCESS if self._config.failure_exceptions else Outcome.FAILURE

    def of_result(self, result: object) -> Outcome:
        """What `failure_result` says; a predicate that raises is logged and says nothing."""
        predicate = self._config.failure_result
        if predicate is None:
            return Outcome.SUCCESS
        try:
            return Outcome.FAILURE if predicate(result) else Outcome.SUCCESS
        except Exception:
            _log.exception("failure_result raised; the call counts as a success")
            return Outcome.SUCCESS

    def of_http_status(self, status: int) -> Outcome:
        """Ignored statuses first, then failures; any other is a success."""
        names = {str(status), f"{status // 100}xx"}
        if not names.isdisjoint(self._config.ignored_http_statuses):
            return Outcome.IGNORED
        if not names.isdisjoint(self._config.failure_http_statuses):
            return Outcome.FAILURE
        return Outcome.SUCCESS


def error_name(error: BaseException | None) -> str | None:
    """The type's name as its users write it: "httpx.ConnectTimeout", or "TimeoutError" for a built-in one."""
    if error is None:
        return None
    kind = type(error)
    try:
        name = f"{kind.__module__}.{kind.__qualname__}"
    except Exception:  # a type with names of its own making
        return "Exception"
    return name.removeprefix("builtins.")


class _ExceptionTypes:
    """Exception types, some of which are only known by name yet. Each step is one operation on a dict: no lock."""

    __slots__ = ("_awaited", "_types", "_unknown")

    def __init__(self, given: tuple[type[BaseException] | str, ...]) -> None:
        self._types: dict[type | str, type] = {item: item for item in given if not isinstance(item, str)}
        self._awaited = dict.fromkeys((item for item in given if isinstance(item, str)), "")
        self._unknown: dict[str, None] = {}

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(self._unknown)

    def match(self, error: BaseException) -> bool:
        if self._awaited:
            self._resolve()
        try:
            return isinstance(error, tuple(self._types.values()))
        except Exception:  # a type with an __instancecheck__ of its own
            _log.exception("an exception type could not be compared; no call is judged by it")
            return False

    def _resolve(self) -> None:
        for name, module in tuple(self._awaited.items()):
            if module and module not in sys.modules:
                continue
            found = _loaded_exception(name)
            if found is not None:
                self._types[name] = found
                self._awaited.pop(name, None)
                continue
            to_come = _module_to_come(name)
            if to_come:
                self._awaited[name] = to_come
            elif self._awaited.pop(name, None) is not None:
                self._unknown[name] = None
                _log.warning(
                    "exception %r does not exist: no call is judged by it; correct the import path", name
                )


def _loaded_exception(name: str) -> type[BaseException] | None:
    parts = name.split(".") if "." in name else ["builtins", name]
    for length in range(len(parts) - 1, 0, -1):
        found: object = sys.modules.get(".".join(parts[:length]))
        if found is not None:
            for attribute in parts[length:]:
                found = _attribute(found, attribute)
            return found if isinstance(found, type) and issubclass(found, BaseException) else None
    return None


def _module_to_come(name: str) -> str:
    """The module on the exception's path that is there to be imported, but is not yet, or not to its end."""
    parts = name.split(".")
    for length in range(1, len(parts)):
        module = ".".join(parts[:length])
        if module not in sys.modules:
            try:
                return module if find_spec(module) is not None else ""
            except (ImportError, ValueError, AttributeError):
                return ""
        if _attribute(_attribute(sys.modules[module], "__spec__"), "_initializing"):
            return module
    return ""


def _grpc_code(error: Exception) -> str | None:
    """The name of a gRPC error's status, known by its shape (`error.code().name`), so that grpc is not imported."""
    code = _attribute(error, "code")
    if not callable(code):
        return None
    try:
        name = _attribute(code(), "name")
    except Exception:  # not a gRPC error after all
        return None
    return name if isinstance(name, str) else None


def _attribute(holder: object, name: str) -> object:
    try:
        return getattr(holder, name, None)
    except Exception:  # a module or an error with attributes of its own making
        return None

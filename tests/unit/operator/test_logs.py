"""A log line is one line, whatever is in it; JSON is JSON; strangers tell only of trouble."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from switchgear_operator.logs import set_up_logs

HOSTILE = [
    "plain",
    "two\nlines",
    "carriage\r\nreturn",
    "odd \u2028 separators \u0085 \x0b \x0c \x1c",
    'quotes " and \\ backslashes',
    "\x1b[31mcolour",
    "NUL \x00",
    "Bücher ✓ \ud800",
    "%s %d without arguments",
]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("kopf", "aiohttp", "asyncio")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("message", HOSTILE)
def test_a_record_is_one_line(capsys: pytest.CaptureFixture[str], form: str, message: str) -> None:
    set_up_logs(form, "info")

    logging.getLogger("switchgear_operator.test").warning("%s", message)

    assert len(logged(capsys)) == 1


@pytest.mark.parametrize("message", HOSTILE)
def test_json_keeps_the_message_as_it_was(capsys: pytest.CaptureFixture[str], message: str) -> None:
    set_up_logs("json", "info")

    logging.getLogger("switchgear_operator.test").error("%s", message)

    record = json.loads(logged(capsys)[0])
    assert record["message"] == message
    assert (record["level"], record["logger"]) == ("error", "switchgear_operator.test")
    assert datetime.fromisoformat(record["time"]).tzinfo is not None


def test_text_has_the_time_the_level_and_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("text", "info")

    logging.getLogger("x").warning("the %s is %d", "answer", 42)

    time, level, message = logged(capsys)[0].split(maxsplit=2)
    assert datetime.fromisoformat(time).tzinfo is not None
    assert (level, message) == ("WARNING", "the answer is 42")


def test_what_is_given_beside_the_message_is_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "info")

    logging.getLogger("x").info(
        "applied", extra={"namespace": "shop", "keys": 3, "odd": {1}, "level": "mine"}
    )

    record = json.loads(logged(capsys)[0])
    assert (record["namespace"], record["keys"], record["odd"]) == ("shop", 3, "{1}")
    assert record["level"] == "info", "a record's own fields are not to be overwritten"


def log_a_failure() -> None:
    try:
        int("first\nsecond")
    except ValueError:
        logging.getLogger("x").exception("it\nfailed")


def test_in_json_a_traceback_is_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "info")

    log_a_failure()

    (line,) = logged(capsys)
    record = json.loads(line)
    assert record["message"] == "it\nfailed"
    assert record["exception"].startswith("Traceback")
    assert "ValueError" in record["exception"]


def test_in_text_a_traceback_follows_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("text", "info")

    log_a_failure()

    first, second, *_, last = logged(capsys)
    assert first.endswith(r"ERROR   it\nfailed")
    assert second.startswith("Traceback")
    assert last.startswith("ValueError")


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_the_least_that_is_logged(
    capsys: pytest.CaptureFixture[str], level: str, seen: int
) -> None:
    set_up_logs("text", level)

    for each in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger("switchgear_operator"), each)("line")

    assert len(logged(capsys)) == seen


@pytest.mark.parametrize("name", ["kopf.objects", "kopf._core.reactor.running", "aiohttp.access", "asyncio"])
def test_strangers_tell_only_of_trouble_even_when_we_tell_everything(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    set_up_logs("text", "debug")

    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("trouble")

    assert [line.split()[-1] for line in logged(capsys)] == ["trouble"]


def test_a_stranger_is_no_louder_than_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("text", "error")

    logging.getLogger("kopf").warning("trouble")

    assert logged(capsys) == []


def test_of_a_request_that_kopf_repeats_the_first_failure_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("text", "info")

    for attempt in range(1, 20):
        logging.getLogger("kopf._cogs.clients.api").error(
            "Request attempt #%d failed; will retry: GET /", attempt
        )

    (line,) = logged(capsys)
    assert "attempt #1 failed" in line

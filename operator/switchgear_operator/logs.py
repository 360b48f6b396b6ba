"""One line per log record, as text or JSON; quiet at rest."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

__all__ = ["set_up_logs"]

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has; anything else was given as `extra`."""

_REPETITION = re.compile(r"Request attempt #(?!1\b)[0-9/]+ failed; will retry")


def set_up_logs(form: str, level: str) -> None:
    """Log to standard error, as `json` or `text`, from `level` on. kopf and aiohttp tell only of trouble.

    A record is one line; only in text, which people read, a traceback follows on lines of its own.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_no_repetition)
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("kopf", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _is_no_repetition(record: logging.LogRecord) -> bool:
    """Kopf tells of each attempt of a request that it repeats for as long as it takes: the first one will do."""
    return not (record.name.startswith("kopf") and _REPETITION.match(record.getMessage()))


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = _time(record)
        line = f"{at} {record.levelname:<7} {_one_line(record.getMessage())}"
        return line if not record.exc_info else f"{line}\n{self.formatException(record.exc_info)}"


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        fields = {**extra, **fields}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _one_line(text: str) -> str:
    """Line breaks of any kind, and what would change a terminal, are shown escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)

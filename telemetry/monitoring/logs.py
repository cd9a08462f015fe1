"""The form of log lines: for people (`console`) or for programs (`json`, one object a line), as the settings say.

`about` says for the code inside it what its lines are about (edge, batch, request); that stands in every line, also in those of
libraries. Passwords are removed from all lines. One event is one line in both forms, a traceback included. A setting is the
level of this project's own loggers; the level of all others is left to whoever starts a process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from celery.signals import after_setup_logger, after_setup_task_logger
from pythonjsonlogger.json import JsonFormatter

from telemetry.redaction import blot
from telemetry.settings import Settings

CONSOLE = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
JSON_FIELDS = {"asctime": "time", "levelname": "level", "name": "logger", "processName": "process"}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_CHARACTERS = 2000
# At each loss of the broker Celery warns that a default will change. `telemetry.celery` sets that option itself.
KNOWN_WARNING = "In Celery 5.1 we introduced an optional breaking change"

_subject: ContextVar[dict[str, Any] | None] = ContextVar("subject", default=None)


@contextmanager
def about(**subject: Any) -> Iterator[None]:
    """What is logged inside is about these too. Values are cut to a length, as strangers may have named them."""
    bounded = {
        name: value if value is None or isinstance(value, int | float) else str(value)[:MAX_CHARACTERS]
        for name, value in subject.items()
    }
    token = _subject.set({**(_subject.get() or {}), **bounded})
    try:
        yield
    finally:
        _subject.reset(token)


class Console(logging.Formatter):
    """A line for people, with what it is about at its end."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        subject = " ".join(f"{name}={value}" for name, value in (_subject.get() or {}).items())
        return blot(_one_line(f"{super().format(record)} [{subject}]" if subject else super().format(record)))


class Json(JsonFormatter):
    """A JSON object a line: time, level, logger, process, message, what it is about, and an error's traceback."""

    def __init__(self) -> None:
        super().__init__(" ".join(f"%({name})s" for name in (*JSON_FIELDS, "message")), rename_fields=JSON_FIELDS)
        self.default_time_format, self.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"
        # Times are in UTC.
        self.converter = logging.time.gmtime  # type: ignore[attr-defined]

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Add what the line is about."""
        super().add_fields(log_data, record, message_dict)
        log_data.update(_subject.get() or {})

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return blot(super().format(record))


def _one_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return CONTROL.sub("?", " | ".join(line for line in lines if line))


def formatter(settings: Settings) -> logging.Formatter:
    """The formatter that the settings ask for."""
    return Json() if settings.log_format == "json" else Console(CONSOLE)


def install(settings: Settings) -> None:
    """Give Celery's loggers their form once Celery has set them up, and our own loggers their level."""
    # Celery turns warnings into lines of this logger, and undoes earlier filters of the warnings themselves.
    logging.getLogger("py.warnings").addFilter(_is_news)

    def form(logger: logging.Logger, **_: Any) -> None:
        for handler in logger.handlers:
            handler.setFormatter(formatter(settings))
        _set_own_level(settings)

    after_setup_logger.connect(form, weak=False, dispatch_uid="telemetry.logs")
    after_setup_task_logger.connect(form, weak=False, dispatch_uid="telemetry.logs.tasks")


def configure(settings: Settings) -> None:
    """Set up logging in a process that is not Celery's."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(settings))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    _set_own_level(settings)


def _is_news(record: logging.LogRecord) -> bool:
    return KNOWN_WARNING not in record.getMessage()


def _set_own_level(settings: Settings) -> None:
    logging.getLogger("telemetry").setLevel(settings.log_level.upper())

"""What of a process's line is shown."""

from __future__ import annotations

import logging

import pytest

from telemetry.local.log_lines import shown
from telemetry.monitoring import logs
from telemetry.settings import Settings


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    ("level", "text"),
    [
        (logging.DEBUG, None),
        (logging.INFO, "1,000 rows stored"),
        (logging.WARNING, "WARNING MainProcess: 1,000 rows stored"),
        (logging.CRITICAL, "CRITICAL MainProcess: 1,000 rows stored"),
    ],
)
def test_time_process_and_level_are_left_out(form: str, level: int, text: str | None) -> None:
    formatter = logs.formatter(Settings.load({"TELEMETRY_LOG_FORMAT": form}))
    record = logging.LogRecord("telemetry.summary", level, "", 1, "1,000 rows stored", (), None)
    assert shown(formatter.format(record)) == text


@pytest.mark.parametrize("line", ["hello", "{not json", '{"level": "INFO"}', "[W 251128 07:25:36 inspector:47] slow", "[] ok"])
def test_lines_of_others_are_shown_as_they_are(line: str) -> None:
    assert shown(line) == line


@pytest.mark.parametrize(("status", "is_shown"), [(200, False), (304, False), (404, True), (503, True)])
def test_requests_are_shown_only_if_they_were_not_answered_well(status: int, is_shown: bool) -> None:
    formatter = logs.formatter(Settings.load({}))
    record = logging.LogRecord("telemetry.access", logging.INFO, "", 1, "%s %s %d in %.1f ms", ("GET", "/a", status, 2.5), None)
    assert (shown(formatter.format(record)) is not None) == is_shown


@pytest.mark.parametrize(
    "text",
    [
        "Redis BRPOP got no reply for 16 seconds; dropping stale connection",
        "Redis pub/sub connection missed 2 health check responses; dropping stale connection",
        "Rate limit storage unreachable - falling back to in-memory storage [request=5bd6afba07a4f9a2]",
    ],
)
def test_what_libraries_say_of_a_lost_broker_is_not_shown(text: str) -> None:
    assert shown(f"[2026-11-28 07:25:36,248: WARNING/MainProcess] {text}") is None


def test_blank_lines_are_not_shown() -> None:
    assert shown("  ") is None


def test_a_long_line_keeps_its_beginning_and_its_end() -> None:
    text = shown("[2026-11-28 07:25:36,248: ERROR/Beat] it broke | Traceback" + " | File x" * 500 + " | OSError: why")
    assert text is not None
    assert text.startswith("ERROR Beat: it broke | Traceback")
    assert text.endswith("OSError: why")
    assert len(text) < 410

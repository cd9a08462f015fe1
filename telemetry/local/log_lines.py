"""What of a line that a process has written is worth a place on the screen.

The log files keep each line as it came. The screen has a time and a process of its own in front of each line, so it leaves both
out, and the level too unless something is wrong. `telemetry.monitoring.logs` gives lines their two forms.
"""

from __future__ import annotations

import json
import logging
import re

# `telemetry.monitoring.logs.CONSOLE`: time, level, process, message.
CONSOLE = re.compile(r"\[\d{4}-\d\d-\d\d [\d:,]+: (?P<level>[A-Z]+)/(?P<process>[^\]]*)\] (?P<message>.*)")
# A request that was answered well, as `telemetry.api.core.request_log` notes it: an open page asks every few seconds.
ANSWERED = re.compile(r"[A-Z]+ /\S* [123]\d\d in [\d.]+ ms")
# What libraries say of a broker that is away. Each process says that in a line of ours, and `up` when it answers again.
OF_LIBRARIES = re.compile(
    r"Redis (BRPOP|pub/sub connection) .*dropping stale connection|Rate limit storage (unreachable|recovered)"
)
LEVELS = logging.getLevelNamesMapping()
# A traceback is one long line: its beginning says where, and its end what.
BEGINNING, END = 240, 160


def shown(line: str) -> str | None:
    """The text for the screen. None hides a line that is at DEBUG or blank, a request that was answered well, and jargon."""
    record = _record(line)
    if record is None:
        return _shortened(line) if line.strip() else None
    level, process, message = record
    if LEVELS.get(level, logging.INFO) < logging.INFO or ANSWERED.match(message) or OF_LIBRARIES.match(message):
        return None
    return _shortened(message if level == "INFO" else f"{level} {process}: {message}")


def _record(line: str) -> tuple[str, str, str] | None:
    """Level, process and message of a log line in either form, None if it is in neither."""
    if match := CONSOLE.match(line):
        return match["level"], match["process"], match["message"]
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
        level, process, message = (str(fields[name]) for name in ("level", "process", "message"))
    except (ValueError, KeyError):
        return None
    return level, process, " ".join(message.split())


def _shortened(text: str) -> str:
    return text if len(text) <= BEGINNING + END else f"{text[:BEGINNING]} … {text[-END:]}"

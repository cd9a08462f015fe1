"""The form of log lines."""

from __future__ import annotations

import json
import logging

import pytest

from telemetry.monitoring import logs
from telemetry.settings import Settings

SECRET = "redis://user:hidden@broker:6379/0"  # noqa: S105 - what must not be shown


def line(form: str, message: str, *args: object, error: bool = False) -> str:
    made = logs.formatter(Settings.load({"TELEMETRY_LOG_FORMAT": form}))
    info = None
    if error:
        try:
            raise ValueError(SECRET)  # noqa: TRY301
        except ValueError as raised:
            info = (type(raised), raised, raised.__traceback__)
    return made.format(logging.LogRecord("telemetry.trail", logging.INFO, "", 1, message, args, info))


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_says_what_it_is_about(form: str) -> None:
    with logs.about(edge="a/b"), logs.about(batch="b1"):
        inside = line(form, "stored %d", 3)
    assert "stored 3" in inside
    assert "a/b" in inside
    assert "b1" in inside
    assert "b1" not in line(form, "after")


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_password_is_shown(form: str) -> None:
    shown = line(form, "lost %s", SECRET, error=True)
    assert "hidden" not in shown
    assert shown.count("redis://user:***@broker:6379/0") == 2


def test_json_is_one_object_a_line() -> None:
    with logs.about(edge="a/b", batch="b1"):
        text = line("json", "two\nlines at http://host:80/x for me@home", error=True)
    assert "\n" not in text
    told = json.loads(text)
    assert told["message"] == "two\nlines at http://host:80/x for me@home"
    assert (told["level"], told["logger"], told["edge"], told["batch"]) == ("INFO", "telemetry.trail", "a/b", "b1")
    assert told["time"].endswith("Z")
    assert "ValueError" in told["exc_info"]

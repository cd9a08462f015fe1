"""The form of log lines."""

from __future__ import annotations

import json
import logging

import pytest
from celery.worker.consumer import consumer

from telemetry import broker
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


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "postgresql://h/db?password=hidden&sslmode=require",
        "host=h password=hidden dbname=d",
        "connection failed: password = 'hid\\'den' host=h",
        "redis://user:p@hidden@broker:6379/0",
        "rediss://:hidden@broker",
        "sslpassword=hidden",
    ],
)
def test_no_form_of_a_password_is_shown(form: str, text: str) -> None:
    assert "hid" not in line(form, "cannot reach %s", text)
    assert "***" in broker.shown(text)


def test_what_strangers_name_is_one_bounded_line() -> None:
    with logs.about(edge="a/b\nERROR forged\x1b[2J", batch="x" * 10_000):
        text = line("console", "dead: %s", "two\r\nlines", error=True)
    assert len(text) < 3 * logs.MAX_CHARACTERS
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "dead: two | lines | Traceback (most recent call last): | File" in text


def test_the_loss_of_the_broker_brings_no_talk_of_defaults(caplog: pytest.LogCaptureFixture) -> None:
    logs.install(Settings.load({}))
    log = logging.getLogger("py.warnings")
    for text in (consumer.CANCEL_TASKS_BY_DEFAULT, "another"):  # type: ignore[attr-defined]
        log.warning("%s", f"consumer.py:499: CPendingDeprecationWarning: {text}")
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["another"]


def test_json_is_one_object_a_line() -> None:
    with logs.about(edge="a/b", batch="b1"):
        text = line("json", "two\nlines at http://host:80/x for me@home", error=True)
    assert "\n" not in text
    told = json.loads(text)
    assert told["message"] == "two\nlines at http://host:80/x for me@home"
    assert (told["level"], told["logger"], told["edge"], told["batch"]) == ("INFO", "telemetry.trail", "a/b", "b1")
    assert told["time"].endswith("Z")
    assert "ValueError" in told["exc_info"]

"""Errors that every resource shares, and the id that every answer carries."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from telemetry.monitoring import logs
from telemetry.settings import Settings
from tests.examples import examples
from tests.waiting import eventually


def problem(answer: TestResponse, status: int, code: str) -> str:
    """Check that an answer is this problem; its detail."""
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    found = answer.get_json()
    assert (found["status"], found["code"], found["type"]) == (status, code, "about:blank")
    assert found["title"] == HTTPStatus(status).phrase
    assert found["request_id"] == answer.headers["X-Request-ID"]
    return str(found["detail"])


def test_unknown_paths_and_methods_are_problems(client: FlaskClient) -> None:
    missing = client.get("/api/v1/none", headers={"X-Request-ID": "mine-1"})
    problem(missing, 404, "not_found")
    assert missing.headers["X-Request-ID"] == missing.get_json()["request_id"] == "mine-1"
    refused = client.post("/api/v1/gpus", headers={"X-Request-ID": "no good!"})
    problem(refused, 405, "method_not_allowed")
    assert "GET" in refused.headers["Allow"]
    assert refused.headers["X-Request-ID"] != "no good!"


@pytest.mark.parametrize("path", ["/health", "/api/v1/gpus", "/api/v1/gpus/x", "/api/v1/gpus/x/telemetry", "/api/v1/stats"])
def test_no_resource_takes_a_parameter_that_it_does_not_know(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?colour=red")
    assert "'colour'" in problem(answer, 400, "bad_parameter")
    assert answer.get_json()["parameter"] == "colour"


def test_a_fault_of_ours_tells_nothing_of_the_inside(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE metrics RENAME TO lost"))
    answer = client.get("/api/v1/stats")
    problem(answer, 500, "internal_error")
    for inside in ("metrics", "SELECT", "psycopg", "Traceback"):
        assert inside not in answer.text


def test_a_query_that_takes_too_long_says_what_to_do(client: FlaskClient, engine: Engine) -> None:
    waiting = text(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'telemetry-api' AND wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    with ThreadPoolExecutor(1) as other, engine.connect() as holder, engine.connect() as plain:
        # Within a transaction pg_stat_activity would always tell the same.
        watcher = plain.execution_options(isolation_level="AUTOCOMMIT")
        holder.execute(text("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE"))
        asked = other.submit(client.application.test_client().get, "/api/v1/stats")
        pid = eventually(lambda: watcher.scalar(waiting))
        # What the statement's time limit does after 15 seconds.
        watcher.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
        answer = asked.result()
    assert "shorter time" in problem(answer, 503, "query_timeout")


def test_a_table_that_is_locked_is_not_waited_for_long(client: FlaskClient, engine: Engine) -> None:
    with engine.connect() as holder:
        holder.execute(text("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE"))
        problem(client.get("/api/v1/stats"), 503, "database_unavailable")


def test_a_session_that_was_ended_is_replaced(client: FlaskClient, engine: Engine) -> None:
    assert client.get("/api/v1/stats").status_code == 200
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'telemetry-api' AND datname = current_database()"
            )
        )
    assert client.get("/api/v1/stats").status_code == 200


@hypothesis(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_id=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=100))
def test_only_a_sane_request_id_comes_back(client: FlaskClient, given_id: str) -> None:
    answer = client.get("/api/v1/none", headers={"X-Request-ID": given_id})
    found = answer.headers["X-Request-ID"]
    assert found == given_id or len(found) == 16
    assert found.isascii()
    assert found.replace("-", "").replace("_", "").replace(".", "").isalnum() or found == given_id


def test_each_line_of_the_log_names_its_request_and_each_request_has_one(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    form = logs.formatter(Settings.load({"TELEMETRY_LOG_FORMAT": "json"}))
    lines: list[dict[str, Any]] = []

    class Written(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(form.format(record)))

    handler = Written()
    caplog.set_level(logging.INFO, "telemetry")
    logging.getLogger("telemetry").addHandler(handler)
    try:
        assert client.get("/api/v1/gpus/x?", headers={"X-Request-ID": "mine-1"}).status_code == 404
        client.get("/health")
    finally:
        logging.getLogger("telemetry").removeHandler(handler)
    (line,) = lines
    told = {name: line[name] for name in ("request", "method", "path", "route", "status", "key", "logger")}
    assert told == {
        "request": "mine-1",
        "method": "GET",
        "path": "/api/v1/gpus/x",
        "route": "/api/v1/gpus/<gpu>",
        "status": 404,
        "key": None,
        "logger": "telemetry.access",
    }
    assert line["duration_ms"] > 0

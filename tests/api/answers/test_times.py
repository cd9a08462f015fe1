"""Times have one form in every format of every list: RFC 3339 in UTC, with the same digits."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api.specification import operations

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z")
UTIL = "DCGM_FI_DEV_GPU_UTIL"
# What a list must be asked for besides its path, and other questions that take other ways through the code.
QUESTIONS: dict[str, list[dict[str, str]]] = {
    "/api/v1/latest": [{"max_age": "3650d"}],
    "/api/v1/events": [{"start_time": "2025-07-01"}],
    "/api/v1/disputes": [{"start_time": "2025-07-18"}],
    "/api/v1/readings": [{"metric": UTIL, "start_time": "2025-07-18"}],
    "/api/v1/query": [
        {"metric": UTIL, "start_time": "2025-07-18", "step": "1h"},
        {"metric": UTIL, "start_time": "2025-07-18", "step": "10s", "by": "gpu", "top": "2"},
    ],
    "/api/v1/gpus/{gpu}/telemetry": [{}, {"step": "2s", "agg": "max", "metric": UTIL}, {"step": "1d", "order": "desc"}],
}
DISPUTED = """
    WITH two AS (
        INSERT INTO owners (digest, pod, labels)
        VALUES ('a', 'a', '{"pod": "a"}'), ('b', 'b', '{"pod": "b", "told_by": "slurm"}') RETURNING id
    )
    INSERT INTO allocations (gpu_id, day, instance, owner_id, held)
    SELECT min(gpus.id), '2025-07-18', '', two.id, '{[2025-07-18 20:00Z, 2025-07-18 21:00Z)}' FROM gpus, two GROUP BY two.id
"""
# Lists without a time.
TIMELESS = {"/api/v1/usage"}


def lists(app: Flask) -> set[str]:
    return {path for path, _, declared in operations(app) if declared.is_list}


@pytest.mark.usefixtures("fleet")
def test_every_list_has_the_times_of_json_in_csv(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        # A part of a second that ends in zeros, of which Postgres' text has one digit alone.
        connection.execute(text("UPDATE batches SET committed_at = '2025-07-18 20:42:34.5Z'"))
        connection.execute(text("INSERT INTO audit_log (actor, action, target, detail) VALUES ('x', 'x', 'x', '{}')"))
        connection.execute(text("INSERT INTO dead_letters (error, header, payload) VALUES ('x', '{}', '')"))
        connection.execute(
            text(
                "INSERT INTO quarantine (source_id, batch_id, fingerprint, byte_offset, digest, line, reason, raw)"
                " SELECT id, 'b1', 'f', 0, '', 1, 'x', '' FROM sources"
            )
        )
        connection.execute(
            text(
                "INSERT INTO conflicts (series_id, ts, source_id, batch_id, value, stored)"
                " SELECT min(series.id), '2025-07-18 20:42:34.5Z', min(sources.id), 'b1', 1, 2 FROM series, sources"
            )
        )
        connection.execute(text(DISPUTED))
        connection.execute(
            text(
                "INSERT INTO findings (gpu_id, series_id, rule, kind, severity, begun_at, fired_at)"
                " SELECT min(id), 0, 'x', 'other', 1, '2025-07-18 20:42:34.5Z', '2025-07-18 20:42:34.5Z' FROM gpus"
            )
        )
    paths = lists(client.application)
    assert {"/api/v1/sources", "/api/v1/edges", "/api/v1/latest", "/api/v1/audit"} | QUESTIONS.keys() <= paths
    seen: set[str] = set()
    for path in sorted(paths - TIMELESS):
        for query in QUESTIONS.get(path, [{}]):
            url = path.replace("{gpu}", "GPU-a1")
            rows = client.get(url, query_string=query).get_json()["items"]
            answer = client.get(url, query_string={**query, "format": "csv", "limit": 100})
            assert rows, url
            for as_json, as_csv in zip(rows, csv.DictReader(io.StringIO(answer.text)), strict=False):
                times = {name: value for name, value in as_json.items() if is_time(value)}
                assert {name: as_csv[name] for name in times} == times, (url, query)
                assert not [value for value in as_csv.values() if is_time(value) and not TIME.fullmatch(value)], url
                # What is no plain value, such as labels, is the same JSON.
                nested = {name: value for name, value in as_json.items() if isinstance(value, (dict, list))}
                assert {name: json.loads(as_csv[name]) for name in nested} == nested, url
                seen |= times.keys()
    assert {"timestamp", "first_seen", "last_commit", "committed_at", "first_reading", "last_reading"} <= seen


def is_time(value: Any) -> bool:
    if not isinstance(value, str) or not value[:4].isdigit():
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True

"""The same rows in every format: chosen by Accept or by `format`, with the same values, streamed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api.answers import encodings

PATH = "/api/v1/gpus/GPU-a1/telemetry"
LISTS = (
    "gpus",
    "gpus/GPU-a1/metrics",
    "hosts",
    "metrics",
    "latest",
    "edges",
    "sources",
    "batches",
    "quarantine",
    "conflicts",
    "dead-letters",
)


def rows(client: FlaskClient, name: str, path: str = PATH, **query: Any) -> list[dict[str, Any]]:
    """The rows of an answer, whatever its format, with times and labels as text."""
    answer = client.get(path, query_string={"format": name, **query})
    assert answer.status_code == 200, answer.text
    match name:
        case "json":
            return list(answer.get_json()["items"])
        case "ndjson":
            return [json.loads(line) for line in answer.text.splitlines()]
        case "csv":
            return list(csv.DictReader(io.StringIO(answer.text)))
        case "arrow":
            return table(pa.ipc.open_stream(answer.data).read_all())
    return table(pa.parquet.read_table(io.BytesIO(answer.data)))


def table(found: pa.Table) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = found.to_pylist()
    return listed


def plain(row: dict[str, Any]) -> tuple[Any, ...]:
    """A reading, with what the formats write differently made the same."""
    time = row["timestamp"]
    moment = time if isinstance(time, str) else time.isoformat().replace("+00:00", "Z")
    labels = row["labels"] if isinstance(row["labels"], dict) else json.loads(row["labels"])
    value = None if row["value"] in {None, "", "NaN"} or row["value"] != row["value"] else float(row["value"])
    return (moment, row["gpu"], row["metric"], value, row["unit"] or None, labels)


@pytest.fixture
def odd(engine: Engine, fleet: None) -> None:
    """A reading with microseconds, one that is no number, a metric without a unit, labels that CSV must quote."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH m AS (INSERT INTO metrics (name) VALUES ('odd, \"metric\"') RETURNING id), s AS ("
                "INSERT INTO series (gpu_id, metric_id, labels_digest, labels) SELECT gpus.id, m.id, 'd',"
                """ jsonb_build_object('a', E'x"y,\nz') FROM gpus, m WHERE identity = 'GPU-a1' RETURNING id)"""
                " INSERT INTO samples SELECT id, ts::timestamptz, value FROM s, (VALUES"
                " ('2025-07-18T20:42:34.000001Z', 'NaN'::float8), ('2025-07-18T20:50:00Z', -1.5e-300)) v (ts, value)"
            )
        )


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("name", ["ndjson", "csv", "arrow", "parquet"])
def test_every_format_says_the_same_as_json(client: FlaskClient, name: str, order: str) -> None:
    expected = [plain(row) for row in rows(client, "json", order=order)]
    assert len(expected) == 102
    assert [plain(row) for row in rows(client, name, order=order)] == expected


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("name", ["ndjson", "csv", "arrow", "parquet"])
def test_limit_and_offset_count_in_every_format(client: FlaskClient, name: str) -> None:
    expected = [plain(row) for row in rows(client, "json", limit=7, offset=3)]
    assert [plain(row) for row in rows(client, name, limit=7, offset=3)] == expected
    assert rows(client, name, start_time="2031-01-01T00:00:00Z") == []


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("name", ["ndjson", "csv", "arrow", "parquet"])
@pytest.mark.parametrize("path", LISTS)
def test_every_list_is_answered_in_every_format(client: FlaskClient, path: str, name: str) -> None:
    expected = rows(client, "json", f"/api/v1/{path}")
    found = rows(client, name, f"/api/v1/{path}")
    assert len(found) == len(expected)
    if expected:
        assert list(found[0]) == list(expected[0])


@pytest.mark.usefixtures("fleet")
def test_accept_chooses_and_format_outdoes_it(client: FlaskClient) -> None:
    for media in encodings.MEDIA.values():
        assert client.get(PATH, headers={"Accept": media}).mimetype == media
    assert client.get(PATH, headers={"Accept": "text/csv;q=0.5, application/x-ndjson"}).mimetype == "application/x-ndjson"
    assert client.get(PATH, headers={"Accept": "*/*"}).mimetype == "application/json"
    assert client.get(f"{PATH}?format=csv", headers={"Accept": "application/json"}).mimetype == "text/csv"
    refused = client.get(PATH, headers={"Accept": "image/png"})
    assert (refused.status_code, refused.get_json()["code"]) == (406, "not_acceptable")


def test_what_goes_wrong_before_the_first_row_is_a_problem(client: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE metrics RENAME TO lost"))
    for name in encodings.MEDIA:
        answer = client.get(f"/api/v1/metrics?format={name}")
        assert (answer.status_code, answer.content_type) == (500, "application/problem+json")

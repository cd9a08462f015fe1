"""Uploads: what is refused, what is safe on disk once it is answered, and the way to the database through real workers."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.api.core.problems import ProblemError
from telemetry.api.intake import spool
from telemetry.settings import Settings
from tests.waiting import eventually

HEADER = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw"
ROW = '"2025-07-18T20:42:{:02d}Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-1","H100","host-1","","","","{}",""'
PATH = "/api/v1/telemetry"


def rows(count: int, value: str = "1") -> bytes:
    return "\n".join([HEADER, *(ROW.format(second, value) for second in range(count))]).encode() + b"\n"


def send(client: FlaskClient, data: bytes, media: str = "text/csv") -> Any:
    return client.post(PATH, data=data, content_type=media)


def spooled(settings: Settings) -> list[Path]:
    return sorted(settings.spool_dir.iterdir()) if settings.spool_dir.exists() else []


@pytest.mark.parametrize("way", ["raw", "gzip", "members", "form", "without the last line's end"])
def test_what_was_sent_is_in_the_spool_directory(client: FlaskClient, settings: Settings, engine: Engine, way: str) -> None:
    data = rows(20)
    match way:
        case "raw":
            answer = send(client, data)
        case "gzip":
            answer = send(client, gzip.compress(data), "application/gzip")
        case "members":
            answer = send(client, gzip.compress(data[:500]) + gzip.compress(data[500:]))
        case "form":
            answer = client.post(PATH, data={"file": (io.BytesIO(gzip.compress(data)), "a.csv.gz")})
        case _:
            answer = send(client, data.rstrip(b"\n"))
    assert answer.status_code == 202, answer.text
    found = answer.get_json()
    assert (answer.headers["Location"], found["size_bytes"]) == (found["url"], len(data))
    (file,) = spooled(settings)
    assert (file.name, file.read_bytes()) == (f"{found['id']}.csv", data)
    told = client.get(found["url"]).get_json()
    assert (told["state"], told["size_bytes"], told["rows_read"]) == ("waiting", len(data), 0)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT actor, action, target FROM audit_log")).all() == [
            ("anyone at 127.0.0.1", "upload", found["id"])
        ]


@pytest.mark.parametrize(
    ("data", "media", "code"),
    [
        (b"", "text/csv", "unreadable_upload"),
        (b"a,b,c\n1,2,3\n", "text/csv", "unreadable_upload"),
        (HEADER.encode() + b"\n", "text/csv", "unreadable_upload"),
        (gzip.compress(rows(100))[:-9], "application/gzip", "unreadable_upload"),
        (b"\x1f\x8bnonsense", "application/gzip", "unreadable_upload"),
        (rows(1), "text/html", "unsupported_media"),
        (b"{}", "application/json", "unsupported_media"),
        (b"", "multipart/form-data; boundary=x", "bad_request"),
    ],
)
def test_what_is_no_telemetry_is_refused_and_leaves_nothing(
    client: FlaskClient, settings: Settings, data: bytes, media: str, code: str
) -> None:
    answer = send(client, data, media)
    assert answer.get_json()["code"] == code
    assert 400 <= answer.status_code < 500
    assert spooled(settings) == []


def test_where_nobody_reads_uploads_none_is_taken(settings: Settings) -> None:
    app = create_app(replace(settings, api_access="open", uploads=False))
    answer = send(app.test_client(), rows(1))
    assert (answer.status_code, answer.get_json()["code"]) == (501, "uploads_off")
    assert not settings.spool_dir.exists()
    app.extensions["connections"].close()


def test_limits_of_size_and_disk(settings: Settings) -> None:
    app = create_app(replace(settings, api_access="open", upload_max_bytes=4000, spool_max_bytes=6000))
    client = app.test_client()
    for data in (rows(100), gzip.compress(rows(100))):
        answer = send(client, data)
        assert (answer.status_code, answer.get_json()["code"]) == (413, "upload_too_large")
    assert send(client, rows(30)).status_code == 202
    full = send(client, rows(30, "2"))
    assert (full.status_code, full.get_json()["code"]) == (507, "spool_full")
    assert len(spooled(settings)) == 1
    app.extensions["connections"].close()


def test_a_form_goes_straight_to_the_spool_directory(client: FlaskClient, settings: Settings) -> None:
    data = rows(20)
    extra = {"file": (io.BytesIO(data), "a.csv"), "more": "x"}
    for form in (extra, {"other": (io.BytesIO(data), "a.csv")}, {"file": [(io.BytesIO(data), "a"), (io.BytesIO(data), "b")]}):
        answer = client.post(PATH, data=form, content_type="multipart/form-data")
        assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_request"), form
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + data
    assert send(client, cut, "multipart/form-data; boundary=x").get_json()["code"] == "bad_request"
    assert spooled(settings) == []


def test_uploads_that_come_together_are_counted_together(settings: Settings) -> None:
    small = replace(settings, spool_max_bytes=6000)
    piece = rows(30)

    def while_another_comes() -> Iterator[bytes]:
        yield piece[:1000]
        spool.write([piece], "first.csv", small).publish()
        yield piece[1000:]

    with pytest.raises(ProblemError) as refused:
        spool.write(while_another_comes(), "second.csv", small)
    assert refused.value.code == "spool_full"
    assert [file.name for file in spooled(settings)] == ["first.csv"]


def test_an_upload_that_is_done_never_waits_again(client: FlaskClient, settings: Settings, engine: Engine) -> None:
    url = send(client, rows(20)).get_json()["url"]
    assert client.get(url).get_json()["state"] == "waiting"
    for file in spooled(settings):
        file.unlink()
    assert client.get(url).get_json()["state"] == "removed"
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH s AS (INSERT INTO sources (edge, path, fingerprint, format) SELECT 'central/uploads', '/spool/' || name,"
                " fingerprint, 'dcgm' FROM uploads RETURNING id) INSERT INTO batches (edge, batch_id, source_id, status,"
                " start_offset, end_offset, first_line, rows, stored, duplicate, conflict, blank, quarantined, read_at,"
                " published_at) SELECT 'central/uploads', 'b', s.id, 'stored', start_bytes, size_bytes, 2, 20, 20, 0, 0, 0, 0,"
                " now(), now() FROM s, uploads"
            )
        )
    assert client.get(url).get_json()["state"] == "done"


def test_what_an_upload_left_that_never_ended_is_removed(client: FlaskClient, settings: Settings) -> None:
    settings.spool_dir.mkdir()
    old, new = settings.spool_dir / ".old.csv.part", settings.spool_dir / ".new.csv.part"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert send(client, rows(1)).status_code == 202
    assert (old.exists(), new.exists()) == (False, True)


def test_nothing_stays_when_the_upload_cannot_be_entered(client: FlaskClient, settings: Settings, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE uploads RENAME TO lost"))
    assert send(client, rows(1)).status_code == 500
    assert spooled(settings) == []


def test_an_upload_is_told_of_until_it_is_committed(
    client: FlaskClient,
    settings: Settings,
    start_collector: Callable[..., subprocess.Popen[bytes]],
    start_edge: Callable[..., Any],
) -> None:
    first = send(client, rows(40) + b"rubbish\n").get_json()["url"]
    start_collector()
    start_edge(f"{settings.spool_dir}/*.csv", TELEMETRY_EDGE="central/uploads", TELEMETRY_STREAM_INTERVAL_S="0.1")

    def done(url: str) -> dict[str, Any]:
        told: dict[str, Any] = client.get(url).get_json()
        assert told["state"] == "done", told
        return told

    told = eventually(lambda: done(first), 40)
    assert {name: told[name] for name in ("rows_read", "rows", "stored", "quarantined", "dead_batches")} == {
        "rows_read": 41,
        "rows": 41,
        "stored": 40,
        "quarantined": 1,
        "dead_batches": 0,
    }
    assert told["committed_bytes"] == told["size_bytes"]
    # The same again is read, known again, and stored once.
    second = send(client, rows(40) + b"rubbish\n").get_json()["url"]
    assert eventually(lambda: done(second), 40)["rows_read"] == 41
    assert client.get("/api/v1/stats").get_json()["samples"] == 40

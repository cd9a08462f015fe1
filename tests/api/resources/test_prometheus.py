"""Prometheus' remote read: asked as Prometheus asks, and by a real Prometheus whose PromQL must say what the API says."""

from __future__ import annotations

import socket
import struct
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from telemetry.api import create_app
from telemetry.api.resources import prometheus as resource
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import apikeys
from telemetry.store.upkeep import sealing
from tests.batches import T0_US, batch, readings
from tests.fixtures.fleet import series
from tests.fixtures.prometheus import Prometheus
from tests.fixtures.remote_read import request, response
from tests.scrape import answer
from tests.store.upkeep.test_sealing import seal_all
from tests.waiting import eventually

T0_MS = T0_US // 1000
UTIL, TEMP = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP"
END_MS = T0_MS + 3_600_000
# One pod has a GPU until the begin of a minute, and then another one.
TURN_S, STEP_S = 1826, 15


@pytest.fixture
def hour(settings: Settings, engine: Engine, redis_client: redis.Redis) -> None:
    """An hour of two GPUs of a host: utilisation under one pod and then another, a temperature, an energy that was reset."""
    rows = []
    for second in range(0, 3600, STEP_S):
        pod = "first" if second < TURN_S else "second"
        for index in (0, 1):
            held = {"pod": pod, "namespace": "ml"} if index == 0 else {}
            rows += [
                (series("GPU_UTIL", "a", index, **held, rack="r1"), second, float(second % 97 + index)),
                (series("GPU_TEMP", "a", index, **held), second, 40.0 + index + second % 7),
                (series("TOTAL_ENERGY_CONSUMPTION", "a", index, **held), second, float(second % 3000)),
            ]
    Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60)).persist(*wire.encode(batch(readings(*rows))))


def ask(client: FlaskClient, *matchers: tuple[str, str, str], function: str = "", span: tuple[int, int] = (0, 2**62)) -> Any:
    told = client.post("/api/v1/prometheus/read", data=request(*span, *matchers, function=function), buffered=True)
    assert told.status_code == 200, told.text
    assert told.headers["Content-Encoding"] == "snappy"
    assert told.headers["Content-Type"] == "application/x-protobuf"
    (result,) = response(told.data)
    return result


@pytest.mark.usefixtures("hour")
def test_series_have_the_labels_of_dcgm_exporter_and_are_parted_among_owners(client: FlaskClient) -> None:
    result = ask(client, ("__name__", "=", UTIL), ("instance", "=~", "a|b"), ("gpu", "=~", "0|7"))
    own = {"UUID": "GPU-a0", "gpu": "0", "Hostname": "a", "device": "nvidia0", "modelName": "H100", "instance": "a"}
    own |= {"__name__": UTIL, "rack": "r1", "namespace": "ml"}
    first, second = (tuple(sorted({**own, "pod": pod}.items())) for pod in ("first", "second"))
    assert result.keys() == {first, second}
    *before, mark = result[first]
    assert struct.pack(">d", mark[1]).hex() == "7ff0000000000002"
    assert mark[0] == result[second][0][0]
    assert [*before, *result[second]] == [(T0_MS + 1000 * second, float(second % 97)) for second in range(0, 3600, STEP_S)]


@pytest.mark.usefixtures("hour")
def test_matchers_choose_by_every_label(client: FlaskClient) -> None:
    def gpus(*matchers: tuple[str, str, str]) -> list[tuple[str, str]]:
        sets = [dict(labels) for labels in ask(client, *matchers)]
        return sorted((labels["__name__"].removeprefix("DCGM_FI_DEV_"), labels.get("pod", "")) for labels in sets)

    assert gpus(("__name__", "=~", "DCGM_FI_DEV_GPU_.*"), ("UUID", "=", "GPU-a1")) == [("GPU_TEMP", ""), ("GPU_UTIL", "")]
    assert gpus(("__name__", "=", UTIL), ("pod", "=", "second")) == [("GPU_UTIL", "second")]
    assert gpus(("__name__", "=", UTIL), ("pod", "!=", "second")) == [("GPU_UTIL", ""), ("GPU_UTIL", "first")]
    assert gpus(("__name__", "=", UTIL), ("pod", "=", "")) == [("GPU_UTIL", "")]
    assert gpus(("rack", "!=", "")) == [("GPU_UTIL", ""), ("GPU_UTIL", "first"), ("GPU_UTIL", "second")]
    assert gpus(("__name__", "!~", ".*UTIL|.*ENERGY.*"), ("modelName", "!~", "L40S"), ("gpu", "=", "1")) == [("GPU_TEMP", "")]
    for none in (
        *(("Hostname", "=", "b"), ("gpu", "=~", "2.*"), ("cluster", "=", "x"), ("__name__", "=", "up")),
        *(("Hostname", "=", "a\0"), ("UUID", "=", "\0"), ("rack", "=", "\0"), ("rack", "=~", "\0")),
    ):
        assert gpus(none) == []


@pytest.mark.usefixtures("hour")
def test_only_the_span_is_read_and_labels_alone_take_a_sample_a_series(client: FlaskClient) -> None:
    of_gpu = ("__name__", "=", TEMP), ("UUID", "=", "GPU-a1")
    (samples,) = ask(client, *of_gpu, span=(T0_MS + 15_000, T0_MS + 45_000)).values()
    assert [ms - T0_MS for ms, _ in samples] == [15_000, 30_000, 45_000]
    assert ask(client, *of_gpu, span=(T0_MS + 45_000, T0_MS + 15_000)) == {}
    (labels,) = ask(client, *of_gpu, function="series").values()
    assert len(labels) == 1
    pods = ask(client, ("__name__", "=", TEMP), ("pod", "!=", ""), function="series")
    assert {dict(labels)["pod"] for labels in pods} == {"first", "second"}
    assert len(ask(client, ("__name__", "=", TEMP), ("pod", "=", "second"), function="series")) == 1
    assert ask(client, *of_gpu, function="series", span=(0, T0_MS - 1)) == {}


@pytest.mark.usefixtures("hour")
def test_too_much_and_what_is_no_request_are_refused_in_words(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(body: bytes) -> tuple[int, str, str]:
        refusal = client.post("/api/v1/prometheus/read", data=body)
        problem = refusal.get_json()
        return refusal.status_code, problem["code"], problem["detail"]

    whole = request(0, END_MS)
    for bound, most, words in (
        ("series", 2, "2 series"),
        ("sets", 3, "3 series of owners"),
        ("samples", 2, "2 samples"),
        ("windows", 1, "1 stretches of owners"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(resource, "BOUNDS", resource.BOUNDS._replace(**{bound: most}))
            status, code, detail = refused(whole)
            assert (status, code) == (422, "query_too_large")
            assert f"reads more than {words}; ask for" in detail
    # What one query may have, the queries of a request may have together.
    with monkeypatch.context() as patched:
        patched.setattr(resource, "BOUNDS", resource.BOUNDS._replace(samples=300))
        one = ("__name__", "=", TEMP), ("gpu", "=", "1")
        for times, expected in ((1, 200), (2, 422)):
            refusal = client.post("/api/v1/prometheus/read", data=request(0, END_MS, *one, times=times), buffered=True)
            assert refusal.status_code == expected
    assert refused(request(0, END_MS, ("gpu", "=~", "(")))[:2] == (400, "bad_request")
    assert refused(b"hello")[:2] == (400, "bad_request")
    assert "each of 100 matchers" in refused(request(0, END_MS, *[("gpu", "=", "0")] * 101))[2]
    assert refused(bytes(resource.MOST_BYTES + 1))[:2] == (413, "upload_too_large")
    assert client.get("/api/v1/prometheus/read").status_code == 405


@pytest.mark.usefixtures("hour")
def test_who_takes_an_answer_slowly_keeps_a_place_until_the_end(settings: Settings) -> None:
    app = create_app(replace(settings, api_access="open", api_streams=1))
    body = request(0, END_MS, ("__name__", "=", TEMP))
    with app.test_client() as client:
        for refused in (b"hello", request(0, END_MS, ("gpu", "=~", "("))):
            assert client.post("/api/v1/prometheus/read", data=refused).status_code == 400
        slow = client.post("/api/v1/prometheus/read", data=body)
        assert slow.status_code == 200
        assert client.post("/api/v1/prometheus/read", data=body).get_json()["code"] == "too_many_streams"
        slow.close()
        assert client.post("/api/v1/prometheus/read", data=body, buffered=True).status_code == 200
    app.extensions["connections"].close()


@pytest.mark.usefixtures("hour")
def test_who_does_not_send_its_request_is_let_go(start_api: Callable[..., tuple[str, int]]) -> None:
    base, _ = start_api("tests.api.impatient:app()", TELEMETRY_API_ACCESS="open", TELEMETRY_API_STREAMS="1")
    where = urllib.parse.urlsplit(base)
    head = f"POST /api/v1/prometheus/read HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: 100000\r\n\r\n"

    def status() -> int:
        return httpx.post(f"{base}/api/v1/prometheus/read", content=request(0, END_MS, ("__name__", "=", TEMP))).status_code

    with socket.create_connection((str(where.hostname), where.port or 0)) as standing:
        standing.sendall(head.encode())
        eventually(lambda: status() == 503, what="its place is taken")
        eventually(lambda: status() == 200, 20, what="its place is free")


@pytest.mark.usefixtures("hour")
def test_sealed_days_are_read_as_before(
    client: FlaskClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "QUIET_S", 0.0)
    before = [ask(client, ("gpu", "!=", "")), ask(client, ("pod", "=", "second"), function="series")]
    seal_all(engine, replace(settings, seal_after_days=1))
    with engine.connect() as connection:
        counts = connection.execute(text("SELECT (SELECT count(*) FROM sealed), (SELECT count(*) FROM samples)")).one()
        assert tuple(counts) == (6, 0)
    after = [ask(client, ("gpu", "!=", "")), ask(client, ("pod", "=", "second"), function="series")]
    # A mark of staleness is not equal to itself.
    assert repr(after) == repr(before)


def instant(prometheus: Prometheus, expression: str, ms: int) -> dict[str, float]:
    """What an expression gives at a time, by the values of its labels."""
    query = urllib.parse.urlencode({"query": expression, "time": ms / 1000})
    status, body = answer(prometheus.port, f"/api/v1/query?{query}")
    assert status == 200, body
    return {" ".join(each["metric"].values()): float(each["value"][1]) for each in body["data"]["result"]}


@pytest.mark.usefixtures("hour")
def test_a_real_prometheus_answers_promql_over_what_is_older_than_its_own(
    client: FlaskClient, prometheus: Callable[..., Prometheus], start_api: Callable[..., tuple[str, int]], engine: Engine
) -> None:
    with engine.begin() as connection:
        key = apikeys.create(connection, "prometheus", ["read"], None, "test")
    base, port = start_api(TELEMETRY_API_ACCESS="keys")
    reading = {"url": f"{base}/api/v1/prometheus/read", "authorization": {"credentials": key}}
    server = prometheus({"api": port}, remote_read=[reading])

    def api(**query: Any) -> dict[str, float]:
        span = {"start_time": T0_MS, "end_time": END_MS - 1}
        rows = client.get("/api/v1/query", query_string={**span, **query}).get_json()["items"]
        return {" ".join(str(row[name]) for name in query["by"].split(",")): row["value"] for row in rows}

    end_ms = END_MS - 1
    assert instant(server, f"avg by (Hostname, gpu) (avg_over_time({TEMP}[1h]))", end_ms).keys() == {"a 0", "a 1"}
    for function, agg in (("max", "max"), ("min", "min"), ("avg", "avg"), ("count", "count"), ("sum", "sum")):
        told = instant(server, f"{function}_over_time({TEMP}{{gpu='1'}}[1h])", end_ms)
        assert list(told.values()) == pytest.approx(list(api(metric=TEMP, agg=agg, by="gpu", host="a").values())[1:])
    by_pod = instant(server, f"avg by (pod) (avg_over_time({UTIL}{{pod!=''}}[1h]))", end_ms)
    assert by_pod == pytest.approx(api(metric=UTIL, by="pod", pod="first,second"))
    # The boards of the trade ask like this (grafana.com, 12239).
    asked = f'{TEMP}{{instance=~"a|b", gpu=~"0|1"}}'
    assert instant(server, f"count by (gpu) ({asked})", T0_MS + 60_000) == {"0": 1, "1": 1}
    # When the next pod has its first reading, the one before has gone.
    assert instant(server, f"count by (pod) ({UTIL}{{gpu='0'}})", T0_MS + 1000 * (TURN_S + STEP_S)) == {"second": 1}
    # A counter that was reset: rates see it, as our increase does.
    energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    rate = instant(server, f"rate({energy}{{gpu='1'}}[1h])", end_ms)
    increase = api(metric=energy, agg="rate", by="gpu", host="a")["GPU-a1"]
    assert list(rate.values()) == pytest.approx([increase], rel=0.01)
    query = urllib.parse.urlencode({"match[]": TEMP, "start": T0_MS / 1000, "end": end_ms / 1000})
    _, listed = answer(server.port, f"/api/v1/series?{query}")
    assert {each["UUID"] for each in listed["data"]} == {"GPU-a0", "GPU-a1"}

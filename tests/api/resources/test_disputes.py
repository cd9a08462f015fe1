"""Whose GPU is told in two ways: what is a dispute, from when to when, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, SLURM, SLURM_HELD, TOLD_BY
from telemetry.settings import Settings
from tests.api.resources.test_allocations import minute
from tests.batches import batch, key, readings

Row = tuple[str, int, float]
Stored = Callable[..., object]


def read(first: int, end: int, gpu: str = "GPU-1", **owner: str) -> list[Row]:
    """Readings of each minute of a span, with what labels say of the owner."""
    return [(key(gpu=gpu, **owner), 60 * at, 1.0) for at in range(first, end)]


def kubernetes(first: int, end: int, pod: str, gpu: str = "GPU-1", **more: str) -> list[Row]:
    """What Kubernetes tells of a span. Two pods are not told of at the same time."""
    owner = {"namespace": "research", "pod": pod, TOLD_BY: KUBERNETES} | more
    # T0 is 34 s after the minute that counts as the first.
    return [(key(KUBERNETES_HELD, gpu, **owner), 60 * end - 35 - len(pod), 60.0 * (end - first) - 1 - len(pod))]


@pytest.fixture
def stored(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Stored:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    names = map(str, count())
    return lambda *rows: collector.persist(*wire.encode(batch(readings(*rows), next(names))))


def found(client: FlaskClient, **query: Any) -> list[tuple[Any, ...]]:
    """GPU, first minute, end, and of both sides who tells and the pod or job."""
    asked = {"start_time": "2025-07-18T20:00:00Z", "end_time": "2025-07-19T20:00:00Z"} | query
    answer = client.get("/api/v1/disputes", query_string=asked)
    assert answer.status_code == 200, answer.text
    return [
        (
            *(row["gpu"], minute(row["start"]), minute(row["end"])),
            (row["told_by"], row["owner"].get("pod") or row["owner"]["hpc_job"]),
            (row["other_told_by"], row["other_owner"].get("pod") or row["other_owner"]["hpc_job"]),
        )
        for row in answer.get_json()["items"]
    ]


def test_another_pod_by_the_labels_than_by_kubernetes(client: FlaskClient, stored: Stored) -> None:
    stored(
        *read(0, 20, namespace="research", pod="a", container="c"),
        *kubernetes(0, 8, "a"),
        *kubernetes(8, 20, "b"),
        # Where both tell the same there is no dispute, and none where only one tells.
        *read(0, 20, gpu="GPU-2", namespace="research", pod="a"),
        *kubernetes(0, 20, "a", gpu="GPU-2", container="other"),
        *kubernetes(0, 20, "c", gpu="GPU-3"),
        *read(0, 20, gpu="GPU-4"),
        *kubernetes(0, 20, "d", gpu="GPU-4"),
    )
    assert found(client) == [("GPU-1", 8, 20, (None, "a"), ("kubernetes", "b"))]
    assert found(client, gpu="GPU-2") == []
    assert found(client, end_time="2025-07-18T20:52:00Z") == []
    assert found(client, end_time="2025-07-18T20:55:00Z") == [("GPU-1", 8, 13, (None, "a"), ("kubernetes", "b"))]


def test_a_hand_over_is_no_dispute_unless_it_is_asked_for(client: FlaskClient, stored: Stored) -> None:
    stored(*read(0, 10, namespace="research", pod="a"), *kubernetes(0, 8, "a"), *kubernetes(8, 10, "b"))
    assert found(client) == []
    assert found(client, at_least="1m") == [("GPU-1", 8, 10, (None, "a"), ("kubernetes", "b"))]


def test_owners_that_share_a_gpu_by_both_do_not_dispute_it(client: FlaskClient, stored: Stored) -> None:
    for pod in ("a", "bb"):
        shared = [(key(f"M_{pod}", namespace="research", pod=pod), 60 * at, 1.0) for at in range(20)]
        stored(*kubernetes(0, 20, pod), *shared)
    assert found(client) == []
    # A third that only one of them names is told of against both.
    stored(*kubernetes(5, 20, "ccc"))
    assert found(client) == [
        ("GPU-1", 5, 20, (None, "a"), ("kubernetes", "ccc")),
        ("GPU-1", 5, 20, (None, "bb"), ("kubernetes", "ccc")),
    ]


def test_schedulers_may_contradict_the_labels_and_a_job_is_no_pod(client: FlaskClient, stored: Stored) -> None:
    job = (key(SLURM_HELD, hpc_job="7", user="ada", **{TOLD_BY: SLURM}), 60 * 20 - 34, 60.0 * 20)
    stored(job, *kubernetes(0, 20, "a"), *read(0, 20, hpc_job="8"))
    assert found(client) == [("GPU-1", 0, 20, (None, "8"), ("slurm", "7"))]


def test_one_that_passes_midnight_is_one(client: FlaskClient, stored: Stored) -> None:
    # Midnight is the minute 198.
    stored(*read(190, 210, namespace="research", pod="a"), *kubernetes(190, 210, "b"))
    assert found(client) == [("GPU-1", 190, 210, (None, "a"), ("kubernetes", "b"))]


def test_without_a_time_it_is_the_last_day(client: FlaskClient) -> None:
    assert client.get("/api/v1/disputes").get_json()["items"] == []
    assert client.get("/api/v1/disputes?gpu=GPU-none").status_code == 404

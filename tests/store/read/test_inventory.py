"""What there is: a GPU by each of its names, and lists that only their filter narrows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from telemetry.store.read import inventory
from telemetry.store.read.inventory import GpuFilter
from tests.fixtures.fleet import T0


def ids(engine: Engine, some: GpuFilter, sort: inventory.GpuSort = "host") -> list[str]:
    with engine.connect() as connection:
        listed = [row.id for row in connection.execute(inventory.gpus(some, sort))]
        assert connection.scalar(inventory.gpus_counted(some)) == len(listed)
    return listed


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("some", "expected"),
    [
        (GpuFilter(), ["GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]),
        (GpuFilter(host="b"), ["GPU-b0", "GPU-b1"]),
        (GpuFilter(model="H100", host="b"), []),
        (GpuFilter(driver="550"), []),
        (GpuFilter(pod="p", host="a"), ["GPU-a0", "GPU-a1"]),
        (GpuFilter(pod="q"), []),
        (GpuFilter(namespace="n"), []),
        (GpuFilter(seen_since=T0 + timedelta(seconds=49)), ["GPU-a0", "GPU-a1", "GPU-b0", "GPU-b1"]),
        (GpuFilter(seen_since=T0 + timedelta(seconds=50)), []),
        (GpuFilter(seen_since=T0, pod="q"), []),
    ],
)
def test_a_filter_narrows_and_the_count_agrees(engine: Engine, some: GpuFilter, expected: list[str]) -> None:
    assert ids(engine, some) == expected


@pytest.mark.usefixtures("fleet")
def test_gpus_are_sorted(engine: Engine) -> None:
    assert ids(engine, GpuFilter(), "-id") == ["GPU-b1", "GPU-b0", "GPU-a1", "GPU-a0"]
    assert ids(engine, GpuFilter(), "-model") == ["GPU-b0", "GPU-b1", "GPU-a0", "GPU-a1"]


@pytest.mark.usefixtures("fleet")
def test_a_gpu_is_found_by_its_identity_before_its_place(engine: Engine) -> None:
    with engine.begin() as connection:
        # One that is named like the place of another, and one that came to a place later.
        connection.execute(text("INSERT INTO gpus (identity, host, gpu_index) VALUES ('b:1', 'c', 0), ('GPU-new', 'a', 0)"))
        names = {
            name: connection.scalar(inventory.gpu(name).with_only_columns(text("gpus.identity")))
            for name in ("GPU-b1", "b:1", "a:0", "c:0", "a:9", "a:", ":0", "a:0000000000", "a:\u0660", "none")
        }
    expected = dict.fromkeys(names) | {"GPU-b1": "GPU-b1", "b:1": "b:1", "a:0": "GPU-new", "c:0": "b:1"}
    assert names == expected


def test_a_gpu_is_read_off_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO gpus (identity, host, gpu_index) SELECT 'GPU-' || n, 'h' || n, 0 FROM generate_series(1, 5000) n")
        )
        connection.execute(text("ANALYZE gpus"))
        literal = inventory.gpu("h7:0").compile(engine, compile_kwargs={"literal_binds": True})
        plan = "\n".join(connection.scalars(text(f"EXPLAIN {literal}".replace(":", "\\:"))))
    assert "Seq Scan" not in plan


@pytest.mark.usefixtures("fleet")
def test_hosts_and_metrics_are_listed_or_found(engine: Engine) -> None:
    with engine.connect() as connection:
        assert [tuple(row)[:3] for row in connection.execute(inventory.hosts())] == [("a", 2, "H100"), ("b", 2, "L40S")]
        assert [row.name for row in connection.execute(inventory.hosts("b"))] == ["b"]
        assert connection.execute(inventory.hosts("c")).all() == []
        assert [row.series for row in connection.execute(inventory.metrics())] == [4, 4]
        assert connection.execute(inventory.metrics("none")).all() == []

"""Every panel of every board asks its question of a Prometheus and a Postgres that a running pipeline has filled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from sqlalchemy import Engine

from scripts.boards import definitions, render
from scripts.boards import fleet as fleet_boards
from scripts.boards.render import Board
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store.engine import driver
from tests.batches import batch, readings
from tests.fixtures.fleet import series
from tests.fixtures.prometheus import Prometheus
from tests.ports import free_port
from tests.scrape import answer
from tests.waiting import eventually

Start = Callable[..., subprocess.Popen[bytes]]
# Two scrapes lie within it.
INTERVAL = "5s"


@pytest.fixture
def api(environ: dict[str, str], tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with (tmp_path / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(
                    Path(sys.executable).parent / "gunicorn",
                    "--bind",
                    f"127.0.0.1:{port}",
                    "--threads",
                    "4",
                    "--no-control-socket",
                ),
                *("--config", "python:telemetry.api.gunicorn_conf", "telemetry.api:create_app()"),
            ],
            env={**os.environ, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    eventually(lambda: answer(port, "/health")[0] == 200, 20)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture
def watched(
    start: Start,
    start_collector: Start,
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    prometheus: Callable[..., Prometheus],
    api: int,
    tmp_path: Path,
) -> Prometheus:
    """A pipeline that replays a fleet as if it were now, and Prometheus."""
    sample = tmp_path / "sample.csv"
    # From a time at which pods hold all of the GPUs; the replay makes it now.
    fleet = ("--hosts", "2", "--gpus", "2", "--interval", "1", "--duration", "60", "--start", "2026-11-05T12:00:00Z")
    telemetry("simulate", *fleet, "-o", sample)
    lines = sample.read_text().splitlines(keepends=True)
    sample.write_text("".join([*lines[:5], "not,a,reading\n", *lines[5:]]))
    ports = {name: free_port() for name in ("beat", "streamer", "collector", "exporter")}
    told = {
        "TELEMETRY_ROLE": "edge",
        "TELEMETRY_SOURCES": str(sample),
        "TELEMETRY_STREAM_INTERVAL_S": "0.2",
        "TELEMETRY_LOOP_MODE": "true",
    }
    start_collector(TELEMETRY_METRICS_PORT=str(ports["collector"]))
    start("celery", "-A", "telemetry", "beat", **told, TELEMETRY_METRICS_PORT=str(ports["beat"]))
    worker = ("celery", "-A", "telemetry", "worker", "--without-gossip", "--without-mingle")
    start(*worker, **told, TELEMETRY_METRICS_PORT=str(ports["streamer"]))
    exporting = {"TELEMETRY_EXPORTER_INTERVAL_S": "0.5", "TELEMETRY_EXPORTER_GPUS": "true"}
    start("telemetry", "exporter", "--port", str(ports["exporter"]), **exporting)
    return prometheus({**ports, "api": api})


def panels() -> list[tuple[str, Mapping[str, Any]]]:
    """Those that stand in the files, with the board's title."""
    found = []
    for path in sorted(render.FOLDER.glob("*.json")):
        board = json.loads(path.read_text())
        found += [(board["title"], panel) for panel in board["panels"]]
    return found


@pytest.mark.timeout(240)
def test_every_panel_has_an_answer(watched: Prometheus, database_url: str) -> None:
    eventually(lambda: watched.query("sum(telemetry_rows_committed_total) > 100"), 60, every_s=0.5, what="rows flow")
    with psycopg.connect(database_url, autocommit=True) as connection:

        def answers(board: str, panel: Mapping[str, Any]) -> list[Any]:
            (target,) = panel["targets"]
            if "expr" in target:
                found = watched.query(render.plain(target["expr"], interval=INTERVAL, span="1 hour"))
                return [each for each in found if each["value"][1] not in {"NaN", "+Inf", "-Inf"}]
            sql = render.plain(
                target["rawSql"], interval=INTERVAL, span="1 hour", chosen=chosen if "one GPU" in board else None
            )
            return connection.execute(sql.encode()).fetchall()

        chosen = {"gpu": str(connection.execute("SELECT min(identity) FROM gpus").fetchone()[0])}  # type: ignore[index]
        for board, panel in panels():
            what = f"{board} | {panel['title']} | {panel['targets'][0]}"
            eventually(lambda board=board, panel=panel: answers(board, panel), 30, every_s=0.5, what=what)  # type: ignore[misc]


def test_the_files_are_what_the_definitions_say() -> None:
    written = {path: path.read_text() for path in render.FOLDER.glob("*.json")}
    assert written == dict(render.files(definitions.BOARDS)), "run scripts/dashboards"


def test_each_panel_stands_beside_the_others() -> None:
    for board in definitions.BOARDS:
        placed = [panel["gridPos"] for panel in json.loads(render.render(board))["panels"]]
        cells = {(place["x"] + x, place["y"]) for place in placed for x in range(place["w"])}
        assert len(cells) == sum(place["w"] for place in placed)
        assert max(x for x, _ in cells) < render.COLUMNS


@pytest.fixture
def stored(settings: Settings, engine: Engine, redis_client: redis.Redis, fleet: None) -> Iterator[psycopg.Connection[Any]]:
    """The small fleet, of which a further hour of two GPUs has owners of two namespaces."""
    rows = [
        (series("GPU_UTIL", "a", index, namespace=f"team-{index}", pod=f"pod-{index}"), 3600 + second, 10.0 * index)
        for second in range(0, 120, 10)
        for index in (0, 1)
    ]
    store = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    store.persist(*wire.encode(batch(readings(*rows), batch_id="b2")))
    with engine.connect() as connection:
        yield driver(connection)


@pytest.mark.parametrize("board", [fleet_boards.FLEET, fleet_boards.OWNERS], ids=lambda board: str(board.name))
def test_boards_of_the_fleet_are_narrowed_by_what_one_chooses(board: Board, stored: psycopg.Connection[Any]) -> None:
    assert board.variables.keys() == {"host", "gpu", "model", "namespace"}
    for query in board.variables.values():
        assert stored.execute(render.plain(query, interval=INTERVAL, span="1 h").encode()).fetchall()
    panel = next(panel for panel in board.panels if panel.title.startswith("Utilisation") and "o.namespace AS" in panel.query)

    def namespaces(**chosen: str) -> set[str]:
        query = render.plain(panel.query, interval=INTERVAL, span="10 years", chosen=chosen)
        return {metric for _, metric, _ in stored.execute(query.encode()).fetchall() if metric}

    assert namespaces() == {"team-0", "team-1"}
    assert namespaces(namespace="team-0") == namespaces(gpu="GPU-a0") == {"team-0"}
    assert namespaces(host="b") == namespaces(model="L40S") == set()
    by_host = next(panel for panel in fleet_boards.FLEET.panels if panel.title == "Utilisation by host").query

    def mean(**chosen: str) -> dict[str, float]:
        lines: dict[str, list[float]] = {}
        for _, host, value in stored.execute(render.plain(by_host, interval=INTERVAL, span="10 years", chosen=chosen).encode()):
            lines.setdefault(host, []).append(value)
        return {host: sum(values) / len(values) for host, values in lines.items()}

    assert mean(namespace="team-1") == {"a": 10}
    assert mean().keys() == {"a", "b"}


def test_a_board_of_one_gpu_lets_one_be_chosen() -> None:
    variables = {one["name"]: one for one in json.loads(render.render(fleet_boards.ONE_GPU))["templating"]["list"]}
    assert variables["gpu"]["multi"] is variables["gpu"]["includeAll"] is False
    assert variables["host"]["allValue"] == "'*'"
    assert all("${gpu:sqlstring}" in panel.query for panel in fleet_boards.ONE_GPU.panels)

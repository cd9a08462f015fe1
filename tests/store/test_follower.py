"""Reads from a real streaming replica: as long as it follows closely, and from the primary when it does not."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from telemetry.api import create_app
from telemetry.api.core.connections import Connections, following
from telemetry.doctor.replica import Replica
from telemetry.exporter import database
from telemetry.local.servers import Postgres
from telemetry.settings import Settings
from telemetry.store import migrate
from telemetry.store.engine import make_engine
from telemetry.store.follower import Follower, Sample, Server, lag_s
from tests.fixtures.remote_read import request
from tests.standby import REPLICATED, ask, caught_up, promote, standby, url_of
from tests.waiting import eventually

OPTIONS = {"fsync": "off", **REPLICATED}
IN_RECOVERY = text("SELECT pg_is_in_recovery()")


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Postgres, Postgres]]:
    with tempfile.TemporaryDirectory(prefix="telemetry-pair-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        with Postgres(directory / "one", OPTIONS) as primary, standby(primary, directory / "two", OPTIONS) as follower:
            yield primary, follower


@pytest.fixture
def settings(pair: tuple[Postgres, Postgres], broker_url: str) -> Settings:
    primary, follower = pair
    return Settings.load(
        {
            "TELEMETRY_DATABASE_URL": url_of(primary, follower),
            "TELEMETRY_DATABASE_READ_URL": follower.url,
            "TELEMETRY_DATABASE_READ_LAG_S": "1.5",
            "TELEMETRY_BROKER_URL": broker_url,
            "TELEMETRY_API_ACCESS": "open",
        }
    )


@contextmanager
def opened(settings: Settings) -> Iterator[Connections]:
    connections = Connections(settings)
    try:
        yield connections
    finally:
        connections.close()


def reads_from_the_replica(connections: Connections) -> bool:
    with connections.reading.connect() as connection:
        return bool(connection.execute(IN_RECOVERY).scalar_one())


def test_reads_go_to_the_replica_only_while_it_follows(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    primary, follower = pair
    with opened(settings) as connections:
        eventually(lambda: reads_from_the_replica(connections))
        with connections.engine.connect() as connection:
            assert not connection.execute(IN_RECOVERY).scalar_one()
        ask(follower, "SELECT pg_wal_replay_pause()")
        ask(primary, "SELECT pg_logical_emit_message(false, 'a', 'b')")
        eventually(lambda: not reads_from_the_replica(connections), 10, what="reads at the primary")
        ask(follower, "SELECT pg_wal_replay_resume()")
        eventually(lambda: reads_from_the_replica(connections), 10, what="reads at the replica")


def test_an_idle_primary_makes_no_replica_lag(settings: Settings) -> None:
    with opened(settings) as connections:
        eventually(lambda: reads_from_the_replica(connections))
        assert lag_s([Sample(0.0, Server(1, "a", 5))], Server(1, "", 5), 1e6) == 0.0


def test_a_frozen_replica_is_left_within_seconds(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    _, follower = pair
    with opened(settings) as connections:
        eventually(lambda: reads_from_the_replica(connections))
        assert follower.pid is not None
        family = [follower.pid, *children(follower.pid)]
        for pid in family:
            os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: connections.reading is connections.engine, 5, what="reads at the primary")
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)
        eventually(lambda: reads_from_the_replica(connections), 10, what="reads at the replica")


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_api_answers_from_the_replica_and_looks_up_keys_at_the_primary(
    pair: tuple[Postgres, Postgres], settings: Settings
) -> None:
    primary, _ = pair
    engine = make_engine(settings, application="migrate")
    migrate.upgrade(engine)
    engine.dispose()
    app = create_app(settings)
    connections = app.extensions["connections"]
    with app.test_client() as client:
        client.get("/api/v1/gpus")
        eventually(lambda: reads_from_the_replica(connections))
        assert client.get("/api/v1/gpus").status_code == 200
        assert client.get("/api/v1/gpus?format=csv").status_code == 200
        assert ask(primary, "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'telemetry-api'")
    connections.close()


def test_a_replica_that_restarts_fails_no_request(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    _, follower = pair
    engine = make_engine(settings, application="migrate")
    migrate.upgrade(engine)
    engine.dispose()
    app = create_app(replace(settings, api_rate_limit=None))
    connections = app.extensions["connections"]
    with app.test_client() as client:
        remote_read = "/api/v1/prometheus/read"

        def status(path: str) -> int:
            asked = client.post(path, data=request(0, 1, ("gpu", "!=", "")), buffered=True) if path == remote_read else None
            return (asked or client.get(path)).status_code

        for path in ("/api/v1/gpus", "/api/v1/gpus?format=csv", "/api/v1/gpus?format=ndjson", remote_read):
            status(path)
            eventually(lambda: reads_from_the_replica(connections), 10)
            assert status(path) == 200
            follower.stop()
            # Nobody has noticed yet.
            assert [status(path) for _ in range(5)] == [200] * 5
            assert connections.reading is connections.engine
            follower.start()
        eventually(lambda: reads_from_the_replica(connections), 10, what="reads at the replica again")
    connections.close()


def test_what_people_work_off_comes_from_the_primary(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    primary, follower = pair
    engine = make_engine(settings, application="migrate")
    migrate.upgrade(engine)
    app = create_app(replace(settings, database_read_lag_s=60.0, api_rate_limit=None))
    connections = app.extensions["connections"]
    ask(follower, "SELECT pg_wal_replay_pause()")
    with app.test_client() as client:
        eventually(lambda: reads_from_the_replica(connections), 10)
        ask(primary, "INSERT INTO dead_letters (batch_id, header, payload, error) VALUES ('b', '{}', '', 'e') RETURNING id")
        assert reads_from_the_replica(connections)
        for form in ("", "?format=ndjson"):
            assert b'"error":"e"' in client.get(f"/api/v1/dead-letters{form}").data.replace(b": ", b":")
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM dead_letters"))
    ask(follower, "SELECT pg_wal_replay_resume()")
    connections.close()
    engine.dispose()


def test_doctor_and_exporter_say_how_the_replica_follows(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    primary, follower = pair
    asked = Replica(settings)
    assert (asked.standby().verdict, asked.lag().verdict) == ("ok", "ok")
    assert "no standby" in Replica(replace(settings, database_read_url=primary.url)).standby().says
    with opened(settings) as connections:
        watched = following(settings, follower.url, connections.engine, "test", 1)
        eventually(lambda: value_of(watched, "telemetry_replica_is_read") == 1.0)
        assert value_of(watched, "telemetry_replica_lag_seconds") < settings.database_read_lag_s
        ask(follower, "SELECT pg_wal_replay_pause()")
        ask(primary, "SELECT pg_logical_emit_message(false, 'a', 'b')")
        eventually(lambda: value_of(watched, "telemetry_replica_is_read") == 0.0, 10)
        assert value_of(watched, "telemetry_replica_lag_seconds") > settings.database_read_lag_s
        lag = asked.lag()
        assert lag.verdict == "warning"
        assert "pg_stat_replication" in lag.mend
        ask(follower, "SELECT pg_wal_replay_resume()")
        watched.close()


def value_of(watched: Follower, name: str) -> float:
    (value,) = (sample.value for metric in database.replica(watched) for sample in metric.samples if sample.name == name)
    return value


def test_a_demoted_primary_is_left_at_the_first_write(pair: tuple[Postgres, Postgres], settings: Settings) -> None:
    """The last test: the standby is the primary then."""
    primary, follower = pair
    with opened(replace(settings, database_read_url=None)) as connections:
        with connections.engine.begin() as connection:
            connection.execute(text("CREATE TABLE before (n int)"))
        caught_up(primary, follower)
        # It lives on and keeps its connections, as one does that a manager of clusters demotes.
        with psycopg.connect(primary.url, autocommit=True) as session:
            session.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            session.execute("SELECT pg_reload_conf()")
        promote(follower)
        eventually(lambda: ask(primary, "SHOW default_transaction_read_only") == "on")
        with pytest.raises(DBAPIError, match="read-only") as error, connections.engine.begin() as connection:
            connection.execute(text("CREATE TABLE after (n int)"))
        assert error.value.connection_invalidated
        with connections.engine.begin() as connection:
            connection.execute(text("CREATE TABLE after (n int)"))
        assert ask(follower, "SELECT count(*) FROM pg_tables WHERE tablename IN ('before', 'after')") == 2


@pytest.mark.parametrize(
    ("samples", "replica", "lag"),
    [
        ([], Server(1, "", 5), float("inf")),
        ([(0, 5), (1, 9)], Server(1, "", 9), 0.0),
        ([(0, 5), (1, 9)], Server(1, "", 8), 10.0),
        ([(0, 5), (1, 9)], Server(1, "", 4), float("inf")),
        ([(0, 5), (1, 9)], Server(2, "", 9), float("inf")),
        ([(0, 5), (1, 9)], Server(1, "former", 9), float("inf")),
        ([(0, 5), (1, 9)], Server(1, "now", 9), 0.0),
    ],
)
def test_how_far_a_replica_lags(samples: list[tuple[float, int]], replica: Server, lag: float) -> None:
    assert lag_s([Sample(at_s, Server(1, "now", position)) for at_s, position in samples], replica, 10.0) == lag

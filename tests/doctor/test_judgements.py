"""What the checks make of what they are told, without servers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from telemetry.doctor import address, broker, clocks, database, machine, resolution, sources
from telemetry.doctor.address import Address
from telemetry.doctor.finding import Finding, failed
from telemetry.doctor.report import document, lines, sound
from telemetry.settings import Settings


def of_database(url: str) -> list[tuple[str, int, str | None]]:
    settings = Settings.load({"TELEMETRY_DATABASE_URL": url})
    return [(each.host, each.port, each.socket) for each in address.database(settings)]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://u:p@db/t", [("db", 5432, None)]),
        ("postgresql://u@[::1]:6000/t", [("::1", 6000, None)]),
        ("postgresql://u@a,b/t", [("a", 5432, None), ("b", 5432, None)]),
        ("postgresql:///t?host=a,b&port=7", [("a", 7, None), ("b", 7, None)]),
        ("postgresql:///t?host=/run/pg&port=7", [("", 7, "/run/pg/.s.PGSQL.7")]),
    ],
)
def test_where_a_database_is(url: str, found: list[tuple[str, int, str | None]]) -> None:
    assert of_database(url) == found


@pytest.mark.parametrize(
    ("query", "checked"),
    [
        ("", None),
        ("?sslmode=require", (False, False)),
        ("?sslmode=require&sslrootcert=/ca", (True, False)),
        ("?sslmode=verify-ca&sslrootcert=/ca", (True, False)),
        ("?sslmode=verify-full&sslrootcert=/ca", (True, True)),
    ],
)
def test_what_libpq_checks_of_a_certificate(query: str, checked: tuple[bool, bool] | None) -> None:
    (found,) = address.database(Settings.load({"TELEMETRY_DATABASE_URL": f"postgresql://u@db/t{query}"}))
    assert (found.tls and (found.tls.checks_chain, found.tls.checks_name)) == checked


def test_no_text_shows_a_password() -> None:
    settings = Settings.load(
        {
            "TELEMETRY_BROKER_URL": "redis://h",
            "TELEMETRY_BROKER_PASSWORD": "p@ss/word",
            "TELEMETRY_DATABASE_URL": "postgresql://u:s%2Fx@d/t",
        }
    )
    secrets = address.secrets(settings)
    assert "p@ss/word" not in repr(secrets)
    finding = Finding("broker", "credentials", failed("refused: p@ss/word, p%40ss%2Fword, s/x, s%2Fx", "not p@ss/word"))
    shown = "\n".join([*lines([finding], secrets), str(document([finding], "edge", secrets))])
    assert not [word for word in ("p@ss", "p%40ss", "s/x", "s%2Fx") if word in shown]
    assert not sound([finding])


@pytest.mark.parametrize(
    ("ahead_s", "uncertain_s", "verdict"),
    [(0.5, 0, "ok"), (-5, 0, "warning"), (5, 4, "ok"), (-60, 1, "failed"), (60, 59, "ok")],
)
def test_clocks(ahead_s: float, uncertain_s: float, verdict: str) -> None:
    assert clocks.judge(ahead_s, uncertain_s).verdict == verdict


def test_names_that_nobody_knows_and_name_servers_that_are_silent() -> None:
    where = Address("TELEMETRY_BROKER_URL", "redis.invalid", 6379)
    assert "name server" in resolution.unknown(where, socket.gaierror(socket.EAI_AGAIN, "")).says
    unknown = resolution.unknown(where, socket.gaierror(socket.EAI_NONAME, ""))
    assert "TELEMETRY_BROKER_URL" in unknown.mend
    assert resolution.check([Address("TELEMETRY_BROKER_URL", "127.0.0.1", 1)]).verdict == "ok"


def test_memory_and_versions_of_a_broker() -> None:
    assert broker.judge_memory({"maxmemory_policy": "noeviction"}).verdict == "ok"
    assert broker.judge_memory({"maxmemory_policy": "allkeys-lru"}).verdict == "failed"
    assert broker.judge_memory({}).verdict == "warning"
    assert broker.judge_version({"redis_version": "5.0.7"}).verdict == "failed"
    assert "Valkey 9.1" in broker.judge_version({"redis_version": "7.2.4", "valkey_version": "9.1"}).says


def test_rights_of_a_database() -> None:
    full = database.Rights(read_only=False, creates=True, owns=True, lacking=[])
    assert database.judge_rights(full, "central").verdict == "ok"
    for lacking in ({"read_only": True}, {"creates": False}, {"owns": False}, {"lacking": ["INSERT on samples"]}):
        assert database.judge_rights(full._replace(**lacking), "central").verdict == "failed"
    assert database.judge_rights(full._replace(owns=False), "api").verdict == "ok"


def test_the_machine() -> None:
    assert machine.judge_disk(Path("/tmp"), 1 << 20, 1 << 40, writable=True).verdict == "failed"  # noqa: S108
    assert machine.judge_disk(Path("/tmp"), 8 << 20, 64 << 20, writable=True).verdict == "ok"  # noqa: S108
    assert machine.judge_disk(Path("/spool"), 1 << 40, 1 << 40, writable=False).verdict == "failed"
    assert machine.judge_open_files(256, 128, 0).verdict == "warning"
    assert machine.judge_open_files(1024, 896, 900).verdict == "warning"
    assert "[edge]" in machine.judge_libraries(["redis"], "edge").mend


def test_sources(tmp_path: Path) -> None:
    assert sources.judge((), 0, []).verdict == "failed"
    assert sources.judge(("/data/*.csv",), 0, []).verdict == "warning"
    assert sources.judge(("/data/*.csv",), 2, ["/data/a.csv"]).verdict == "failed"
    (tmp_path / "a.csv").write_text("")
    assert sources.check(Settings.load({"TELEMETRY_SOURCES": f"{tmp_path}/*.csv"})).verdict == "ok"

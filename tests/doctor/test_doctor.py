"""`telemetry doctor` against real servers: sound ones, refused ports, wrong passwords, users without rights, an old schema."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from psycopg import Connection, sql
from sqlalchemy import make_url

from telemetry.doctor import broker as broker_checks
from telemetry.doctor import checkup
from telemetry.local.servers import Valkey
from telemetry.settings import Settings
from tests.chart.tls import terminated
from tests.doctor.certificate import Authority
from tests.faults.proxy import Proxy
from tests.fixtures.processes import ROOT
from tests.ports import free_port

Run = Callable[..., subprocess.CompletedProcess[str]]
PASSWORD = "s3cret/word@1"  # noqa: S105


def verdicts(telemetry: Run, role: str, **variables: str) -> tuple[int, dict[str, str]]:
    done = telemetry("doctor", "--json", "--role", role, **variables)
    assert done.stdout, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["ok"] is (done.returncode == 0)
    assert all(each["mend"] for each in document["checks"] if each["verdict"] in {"warning", "failed"})
    return done.returncode, {f"{each['part']} {each['check']}": each["verdict"] for each in document["checks"]}


@pytest.mark.parametrize("role", checkup.ROLES)
def test_each_role_is_sound_on_sound_servers(telemetry: Run, tmp_path: Path, role: str) -> None:
    (tmp_path / "a.csv").write_text("")
    code, found = verdicts(telemetry, role, TELEMETRY_SOURCES=f"{tmp_path}/*.csv")
    # The tests' own Postgres does not wait for its disk.
    assert {name for name, verdict in found.items() if verdict != "ok"} <= {"database durability"}
    assert code == 0
    assert ("database schema" in found) is (role != "edge")


def test_lines_for_people_name_the_mend(telemetry: Run, tmp_path: Path) -> None:
    done = telemetry("doctor", "--role", "edge", TELEMETRY_SOURCES="")
    assert done.returncode == 1
    assert "FAILED   sources" in done.stdout
    assert "mend: set it to the patterns" in done.stdout


def test_refused_ports(telemetry: Run) -> None:
    nowhere = {
        "TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0",
        "TELEMETRY_DATABASE_URL": f"postgresql://u:{'x' * 12}@127.0.0.1:{free_port()}/t",
    }
    code, found = verdicts(telemetry, "central", **nowhere)
    assert code == 1
    assert found["broker connection"] == found["database connection"] == "failed"
    assert found["broker rights"] == found["database schema"] == "skipped"


def test_a_name_that_nobody_knows(telemetry: Run) -> None:
    code, found = verdicts(telemetry, "edge", TELEMETRY_BROKER_URL="redis://redis.invalid:6379/0")
    assert (code, found["broker name"], found["broker connection"]) == (1, "failed", "skipped")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[str, redis.Redis]]:
    """The socket of a broker whose default user has a password, and a client of it."""
    with Valkey(tmp_path / "valkey") as valkey:
        path = valkey.url.removeprefix("redis+socket://").partition("?")[0]
        with redis.Redis(unix_socket_path=path, password=PASSWORD) as client:
            with redis.Redis(unix_socket_path=path) as first:
                first.acl_setuser("other", enabled=True, nopass=True, keys=["telemetry*"], categories=["+@all", "-@list"])
                first.config_set("requirepass", PASSWORD)
            yield path, client
            client.config_set("requirepass", "")


def test_a_wrong_password_a_user_without_rights_and_a_broker_that_evicts(
    telemetry: Run, locked: tuple[str, redis.Redis]
) -> None:
    path, client = locked
    own = {"TELEMETRY_KEY_PREFIX": "telemetry", "TELEMETRY_SOURCES": "/nowhere"}
    with Proxy(lambda: Path(path)) as proxy:
        url = f"redis://{{}}127.0.0.1:{proxy.port}/0"
        _, found = verdicts(telemetry, "edge", **own, TELEMETRY_BROKER_URL=url.format(":wr0ng@"))
        assert (found["broker connection"], found["broker credentials"], found["broker rights"]) == ("ok", "failed", "skipped")
        _, found = verdicts(telemetry, "edge", **own, TELEMETRY_BROKER_URL=url.format("other:any@"))
        assert (found["broker credentials"], found["broker rights"]) == ("ok", "failed")
        client.config_set("maxmemory-policy", "allkeys-lru")
        said = {"TELEMETRY_BROKER_URL": url.format(""), "TELEMETRY_BROKER_PASSWORD": PASSWORD}
        code, found = verdicts(telemetry, "edge", **own, **said)
        assert (code, found["broker credentials"], found["broker rights"], found["broker eviction"]) == (
            1,
            "ok",
            "ok",
            "failed",
        )
        assert not client.keys("*"), "the rights were tried without doing anything"
        client.config_set("maxmemory", "1")
        assert verdicts(telemetry, "edge", **own, **said)[1]["broker rights"] == "failed"


@pytest.mark.parametrize(
    ("host", "days", "wrong"), [("localhost", 90, None), ("localhost", -30, "expiry"), ("elsewhere", 90, "host name")]
)
def test_a_broker_with_tls(telemetry: Run, broker_url: str, tmp_path: Path, host: str, days: int, wrong: str | None) -> None:
    authority = Authority(tmp_path / "ca").make()
    certificate, key = authority.sign(host, days=days)
    socket = broker_url.removeprefix("redis+socket://").partition("?")[0]
    with terminated(socket, key, certificate) as port:
        said = {"TELEMETRY_BROKER_URL": f"rediss://localhost:{port}/0", "TELEMETRY_BROKER_CA": str(authority.file)}
        code, found = verdicts(telemetry, "edge", **said, TELEMETRY_SOURCES="/nowhere/*.csv")
    failures = {name for name, verdict in found.items() if verdict == "failed"}
    # The client refuses the certificate, too.
    assert failures == ({f"broker {wrong}", "broker credentials"} if wrong else set())
    assert code == (1 if wrong else 0)


def test_a_wrong_password_and_a_schema_that_is_missing(
    telemetry: Run, server: Connection[Any], empty_database_url: str, services: dict[str, str]
) -> None:
    code, found = verdicts(telemetry, "central", TELEMETRY_DATABASE_URL=empty_database_url)
    assert (code, found["database credentials"], found["database schema"]) == (1, "ok", "failed")
    gone = make_url(empty_database_url).set(database="not_there").render_as_string(hide_password=False)
    assert verdicts(telemetry, "central", TELEMETRY_DATABASE_URL=gone)[1]["database credentials"] == "failed"


def test_a_role_of_the_database_without_rights(telemetry: Run, server: Connection[Any], database_url: str) -> None:
    name = f"reader_{make_url(database_url).database}"
    server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), PASSWORD))
    try:
        url = make_url(database_url).set(username=name, password=PASSWORD).render_as_string(hide_password=False)
        _, found = verdicts(telemetry, "central", TELEMETRY_DATABASE_URL=url)
        assert (found["database credentials"], found["database rights"]) == ("ok", "failed")
    finally:
        server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_an_edge_is_asked_without_the_libraries_of_the_centre(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    blocked = ("sqlalchemy", "psycopg", "alembic", "flask", "flower", "gunicorn", "pydantic", "kubernetes")
    code = (
        "import sys\n"
        f"for name in {blocked}: sys.modules[name] = None\n"
        "from telemetry.cli import main\n"
        "main(['doctor', '--role', 'edge'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "PYTHONPATH": str(ROOT), "TELEMETRY_SOURCES": f"{tmp_path}/*.csv"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_command_stands_for_each_key_that_the_role_uses() -> None:
    edge = {words[:2] for words in broker_checks.commands(Settings.load({"TELEMETRY_EDGE": "c/n"}), "edge")}
    assert {
        ("LPUSH", "telemetry.ingest"),
        ("HSET", "telemetry:source:c/n:doctor"),
        ("HGETALL", "telemetry:acks:c/n:doctor"),
    } <= edge
    assert not [words for words in edge if "unacked.central" in words[1] and words[0] == "HSET"]


@pytest.mark.parametrize(("role", "imported"), [("edge", False), ("central", True)])
def test_libraries_are_imported_before_any_deadline_runs_and_only_where_they_are_needed(role: str, imported: bool) -> None:
    code = (
        "import sys\n"
        "from telemetry.doctor import checkup\n"
        "from telemetry.settings import Settings\n"
        f"checkup.courses(Settings.load({{}}), {role!r})\n"
        "names = ('telemetry.doctor.broker', 'telemetry.doctor.database', 'sqlalchemy')\n"
        "print(*(name in sys.modules for name in names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["True", str(imported), str(imported)]

"""Containers run what the chart says: command, environment and mounts, as processes on real servers, until their probes pass.

Paths of the mounts are moved below the test's directory, and the addresses of the servers are the test's own; all else is
as rendered. Passwords and certificates are tried on a broker that has them; the embedded database has no password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from telemetry.local.servers import Valkey
from telemetry.local.servers.postgres import program
from tests.chart import tls
from tests.chart.cases import CENTRE, EDGE, PASSWORD
from tests.chart.place import Place
from tests.chart.rendering import merged, pod_of, render, values_of
from tests.fixtures.processes import Start
from tests.fixtures.services import Services, connect
from tests.ports import free_port
from tests.waiting import eventually

COMPONENTS = {
    "streamer": "streamer",
    "beat": "streamer",
    "collector": "collector",
    "api": "api",
    "flower": "flower",
    "exporter": "exporter",
    "uploads": "api",
    "uploads-beat": "api",
}
VALUES = merged(PASSWORD, {"uploads": {"enabled": True}})


def test_flower_is_reached_beside_the_api_by_those_who_may_and_changes_nothing(
    start: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    values = merged(VALUES, {"flower": {"auth": {"existingSecret": "flower"}, "urlPrefix": "/flower"}})
    (container,) = pod_of(render(values), "flower")["spec"]["containers"]
    place = Place(tmp_path, container, free_port())
    process = start(*place.command(), **(place.told(environ) | {"FLOWER_BASIC_AUTH": "ada:secret"}))

    def well() -> bool:
        assert process.poll() is None, "it ended"
        return place.is_well()

    eventually(well, 45, every_s=0.5, what="Flower is well")
    address = f"http://127.0.0.1:{place.port}/flower"
    assert httpx.get(f"{address}/workers").status_code == httpx.codes.UNAUTHORIZED
    with httpx.Client(auth=("ada", "secret")) as person:
        assert 'href="/flower/' in person.get(f"{address}/workers").text
        assert person.post(f"{address}/api/worker/shutdown/any").status_code == httpx.codes.FORBIDDEN
    process.terminate()
    process.wait(15)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_container_starts_and_its_probes_pass(name: str, start: Start, environ: dict[str, str], tmp_path: Path) -> None:
    spec = pod_of(render(VALUES), COMPONENTS[name])["spec"]
    (container,) = [each for each in spec["containers"] if each["name"] == name]
    place = Place(tmp_path, container, free_port())
    process = start(*place.command(), **place.told(environ))

    def well() -> bool:
        assert process.poll() is None, "it ended"
        return place.is_well()

    eventually(well, 45, every_s=0.5, what=f"{name} is well")
    process.terminate()
    assert process.wait(spec["terminationGracePeriodSeconds"]) == 0


@pytest.mark.parametrize(
    ("name", "file", "right"), [("streamer", EDGE, True), ("streamer", EDGE, False), ("collector", CENTRE, True)]
)
def test_a_broker_with_tls_a_user_and_a_password(
    name: str, file: str, right: bool, start: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="telemetry-tls-") as directory, tls.broker(Path(directory)) as (port, ca):
        Path(directory).chmod(0o755)
        redis: dict[str, Any] = {"host": "localhost", "port": port, "username": tls.USER, "tls": {"caCert": ca}}
        redis["auth"] = {"enabled": True, "existingSecret": "broker"}
        objects = render(merged(merged(values_of(file), PASSWORD), {"externalRedis": redis}))
        secrets = {
            each["metadata"]["name"]: {key: base64.b64decode(value).decode() for key, value in each["data"].items()}
            for each in objects
            if each["kind"] == "Secret"
        }
        pod = pod_of(objects, name)
        place = Place(tmp_path, pod["spec"]["containers"][0], 0)
        place.mount(pod, secrets | {"broker": {"redis-password": tls.PASSWORD if right else "another"}})
        told = place.variables()
        assert told["TELEMETRY_BROKER_URL"] == f"rediss://{tls.USER}@localhost:{port}/0"
        told |= {"TELEMETRY_METRICS_PORT": "0"} | (
            {"TELEMETRY_DATABASE_URL": environ["TELEMETRY_DATABASE_URL"]} if name == "collector" else {}
        )
        told.pop("TELEMETRY_DATABASE_PASSWORD_FILE", None)
        process = start(*place.command(), **told)
        if right:
            eventually(place.is_well, 45, every_s=0.5, what=f"{name} is well")
        else:
            # It lives and waits, and says that it cannot work.
            eventually(lambda: place.passes(place.container["startupProbe"]), 45, every_s=0.5, what=f"{name} has started")
            assert not place.passes(place.container["readinessProbe"])
        process.terminate()
        process.wait(30)


def test_the_migration_job_and_the_wait_for_it(empty_database_url: str, environ: dict[str, str], tmp_path: Path) -> None:
    objects = render(PASSWORD)
    (job,) = pod_of(objects, "migrations")["spec"]["containers"]
    (wait,) = pod_of(objects, "collector")["spec"]["initContainers"]
    bin_ = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    surroundings = os.environ | environ | {"TELEMETRY_DATABASE_URL": empty_database_url, "PATH": bin_}
    with subprocess.Popen(wait["command"], env=surroundings, stdout=subprocess.PIPE, cwd=tmp_path) as waiting:
        subprocess.run(job["command"], env=surroundings, check=True, timeout=60, cwd=tmp_path)
        assert waiting.wait(60) == 0


def test_a_server_answers_until_its_pre_stop_has_ended(start: Start, environ: dict[str, str], tmp_path: Path) -> None:
    spec = pod_of(render(VALUES), "api")["spec"]
    container = spec["containers"][0]
    place = Place(tmp_path, container, free_port())
    process = start(*place.command(), **place.told(environ))
    eventually(place.is_well, 45, every_s=0.5, what="the API is well")
    with subprocess.Popen(container["lifecycle"]["preStop"]["exec"]["command"]) as stopping:
        while stopping.poll() is None:
            assert place.passes(container["readinessProbe"])
    assert stopping.returncode == 0
    process.terminate()
    assert process.wait(spec["terminationGracePeriodSeconds"] - 5) == 0


def test_a_streamer_that_comes_before_its_redis_is_ready_once_that_is_there(
    start: Start, environ: dict[str, str], tmp_path: Path
) -> None:
    pod = pod_of(render({"collector": {"enabled": False}}), "streamer")
    place = Place(tmp_path, pod["spec"]["containers"][0], 0)
    port = free_port()
    away = environ | {"TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{port}/0"}
    process = start(*place.command(), **place.told(away))
    eventually(lambda: place.passes(place.container["startupProbe"]), 45, every_s=0.5, what="it has started")
    assert not place.passes(place.container["readinessProbe"])
    with tempfile.TemporaryDirectory(prefix="telemetry-redis-") as directory, Valkey(Path(directory), {"port": str(port)}):
        eventually(place.is_well, 60, every_s=0.5, what="it is ready")
        process.terminate()
        assert process.wait(pod["spec"]["terminationGracePeriodSeconds"]) == 0


def test_the_test_of_a_release_tries_again(environ: dict[str, str], tmp_path: Path) -> None:
    container = pod_of(render({"collector": {"enabled": False}}), "smoke")["spec"]["containers"][0]
    port = free_port()
    found = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    told = Place(tmp_path, container, 0).told(environ | {"TELEMETRY_BROKER_URL": f"redis://127.0.0.1:{port}/0"})
    log = tmp_path / "smoke.log"
    with log.open("wb") as out, subprocess.Popen(container["command"], env=os.environ | told | found, stderr=out) as smoke:
        eventually(lambda: "ConnectionError" in log.read_text(), 60, what="it has failed once")
        assert smoke.poll() is None
        with tempfile.TemporaryDirectory(prefix="telemetry-redis-") as directory, Valkey(Path(directory), {"port": str(port)}):
            assert smoke.wait(60) == 0


def test_the_database_of_the_release_takes_the_password_of_now(services: Services, tmp_path: Path) -> None:
    postgres = pod_of(render(PASSWORD), "postgresql")["spec"]["containers"][0]
    url = make_url(services["database_url"])
    role, password = "telemetry_development", "o'th\\er"
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    with connect(services) as server:
        server.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'first'")
        try:
            probe = postgres["startupProbe"]["exec"]["command"]
            given = {"POSTGRES_USER": role, "POSTGRES_DB": str(url.database), "POSTGRES_PASSWORD_FILE": str(file)}
            probe = [each.replace("-h 127.0.0.1", f"-h {url.query.get('host') or url.host}") for each in probe]
            path = os.pathsep.join([str(program("psql").parent), os.environ["PATH"]])
            subprocess.run(probe, env=given | {"PATH": path, "PGPORT": str(url.port or 5432)}, check=True, timeout=20)
            (stored,) = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchone() or ("",)
        finally:
            server.execute(f"DROP ROLE {role}")
    assert opens(password, stored)
    assert not opens("first", stored)


def opens(password: str, stored: str) -> bool:
    """Whether a password is the one that Postgres keeps so (RFC 5802): SCRAM-SHA-256$iterations:salt$key:key."""
    _, parameters, keys = stored.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return base64.b64decode(keys.split(":")[0]) == hashlib.sha256(client_key).digest()

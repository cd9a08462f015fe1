"""`telemetry up --secure`: the whole system with TLS, a user for each process and signed batches, and no secret shown."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import redis

from telemetry import broker
from telemetry.local.certificates import Certificates, Pair
from telemetry.local.secure import check_database
from telemetry.settings import Settings, SettingsError
from tests.cli.test_up import TELEMETRY, Up, sample, stored, up, workers
from tests.waiting import eventually

__all__ = ["sample", "up"]


@pytest.mark.timeout(300)
# redis-py leaves it to the collector of garbage to close a socket whose front was killed while it shook hands.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_whole_system_with_users_and_signatures(up: Callable[..., Up], sample: Path, tmp_path: Path) -> None:
    running = up("--secure", "--csv", str(sample), environ={"TELEMETRY_LOG_LEVEL": "debug"})
    running.says("telemetry is running")
    readings = len(sample.read_text().splitlines()) - 1
    eventually(lambda: stored(running) == readings, 60, what="all readings stored")
    eventually(lambda: "collector" in workers(running), 30)

    def command(*words: str | Path) -> str:
        done = subprocess.run(
            [TELEMETRY, *words, "--data-dir", running.data_dir], capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # The commands find it and may do what a person may; an edge that they add is kept over a restart of the broker.
    more = tmp_path / "more.csv"
    more.write_text(sample.read_text().replace("GPU-", "GPU-more-"))
    command("ingest", more, "--wait")
    compared = json.loads(command("verify", sample, more, "--json"))
    assert (compared["read"], compared["missing"], compared["extra"]) == (2 * readings, 0, 0)
    assert json.loads(command("status", "--json"))["gaps"] == []
    given = json.loads(command("edge", "add", "gpu-a/node-1", "--json"))["environment"]
    files = {name: text for name, text in running.environment().items() if name.startswith("TELEMETRY_BROKER_")}
    place = {name: files[name] for name in (f"TELEMETRY_BROKER_{end}" for end in ("URL", "CA", "CERT", "KEY"))}
    assert place["TELEMETRY_BROKER_URL"].startswith("rediss://")
    edge = Settings.load({**place, **given})
    running.find("valkey-server").kill()
    eventually(lambda: answers(edge), 30)

    # Whoever shows no certificate of its authority, or does not speak TLS, is not heard; nor is another broker believed.
    made = running.data_dir / "certificates"
    authority, client = made / "ca.crt", Pair(made / "client.crt", made / "client.key")
    other = Certificates.made(tmp_path / "other")
    port = int(place["TELEMETRY_BROKER_URL"].rpartition(":")[2].partition("/")[0])
    for context in (
        None,
        speaking(authority),
        speaking(other.authority, client),
        speaking(authority, other.client),
    ):
        with pytest.raises((OSError, EOFError)):
            asked_by(port, context)
    assert asked_by(port, speaking(authority, client)) == b"+PONG\r\n"
    running.find("tls_end.py").kill()
    eventually(lambda: answers(edge), 30)

    with broker.connect(Settings.load(place), retries=0) as nobody, pytest.raises(redis.exceptions.NoPermissionError):
        nobody.llen("telemetry.ingest")
    with broker.connect(Settings.load(running.environment())) as person:
        refused = {(entry["username"], entry["object"]) for entry in person.acl_log()}
    ours = {name for name, _ in refused} - {"default"}
    assert all(what == "info" for name, what in refused if name in ours), refused

    # Who may look at processes, logs and answers sees no secret.
    trust = running.data_dir / "trust"
    planted = {path.read_text() for path in trust.iterdir() if path.name != "users.acl"}
    planted |= {text.rpartition(":")[2] for text in planted} | set(list(given.values())[1:])
    family = [psutil.Process(running.process.pid), *psutil.Process(running.process.pid).children(recursive=True)]
    seen = "".join(" ".join(process.cmdline()) + str(process.environ()) for process in family if process.is_running())
    seen += "".join(path.read_text(errors="replace") for path in (running.data_dir / "log").iterdir())
    seen += running.output() + (running.data_dir / "prometheus.yml").read_text() + command("status") + command("sources")
    seen += (
        running.answer(running.flower_port, "/workers")[1].decode() + running.answer(running.flower_port, "/broker")[1].decode()
    )
    seen += "".join(running.answer(port, "/metrics")[1].decode() for port in (*running.metrics.values(), running.port))
    assert not [text for text in planted if text in seen]
    # The broker itself writes its file of users, which holds digests alone.
    modes = {path.stat().st_mode & 0o777 for path in trust.iterdir() if path.name != "users.acl"}
    assert (modes, trust.stat().st_mode & 0o777) == ({0o600}, 0o700)
    assert {path.stat().st_mode & 0o077 for path in (running.data_dir / "certificates").glob("*.key")} == {0}
    assert running.interrupt() == 0


def test_a_database_elsewhere_shows_its_certificate() -> None:
    for fine in (
        "postgresql+psycopg://u@/telemetry?host=/run/postgresql",
        "postgresql+psycopg://u@db.example/telemetry?sslmode=verify-full",
    ):
        check_database(fine)
    for open_ in ("postgresql+psycopg://u@db.example/telemetry", "postgresql+psycopg://u@/t?host=/run,db.example"):
        with pytest.raises(SettingsError, match="verify-full"):
            check_database(open_)


def speaking(authority: Path, shown: Pair | None = None) -> ssl.SSLContext:
    """How a client speaks TLS that trusts an authority."""
    context = ssl.create_default_context(cafile=str(authority))
    if shown:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def asked_by(port: int, context: ssl.SSLContext | None) -> bytes:
    """What the broker answers to a client. Raises OSError or EOFError where it does not."""
    with ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        wrapped = stack.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1")) if context else plain
        wrapped.sendall(b"PING\r\n")
        if not (answer := wrapped.recv(100)):
            raise EOFError
        return answer


def answers(settings: Settings) -> bool:
    """Whether the broker lets somebody in."""
    try:
        with broker.connect(settings, retries=0) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False

"""`telemetry up --secure`: the whole system with a user for each process and signed batches, and no secret shown anywhere."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis

from telemetry import broker
from telemetry.settings import Settings
from tests.cli.test_up import TELEMETRY, Up, sample, stored, up, workers
from tests.waiting import eventually

__all__ = ["sample", "up"]


@pytest.mark.timeout(300)
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
    assert json.loads(command("status", "--json"))["gaps"] == []
    given = json.loads(command("edge", "add", "gpu-a/node-1", "--json"))["environment"]
    edge = Settings.load({"TELEMETRY_BROKER_URL": running.environment()["TELEMETRY_BROKER_URL"], **given})
    running.find("valkey-server").kill()
    eventually(lambda: answers(edge), 30)

    nobody = broker.connect(Settings.load({"TELEMETRY_BROKER_URL": running.environment()["TELEMETRY_BROKER_URL"]}), retries=0)
    with pytest.raises(redis.exceptions.NoPermissionError):
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
    assert running.interrupt() == 0


def answers(settings: Settings) -> bool:
    """Whether the broker lets somebody in."""
    try:
        return bool(broker.connect(settings, retries=0).ping())
    except redis.RedisError:
        return False

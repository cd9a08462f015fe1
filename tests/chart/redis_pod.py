"""The Redis of a release as a process: the script of its container, with its paths and ports moved into a test's directory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from telemetry.local.servers.valkey import program
from tests.chart.cases import SHARED
from tests.chart.rendering import merged, pod_of, render, values_of
from tests.fixtures.processes import end
from tests.ports import free_port
from tests.waiting import eventually

HOST = "127.0.0.1"
# What the script needs of `redis-cli`, for machines that have a server and no client.
CLIENT = """#!{python}
import os, sys, redis
words = sys.argv[1:]
given = {}
while words[0] in ("-h", "-p"):
    given[words[0]] = words[1]
    words = words[2:]
place = given.get("-h", "127.0.0.1"), int(given["-p"])
client = redis.Redis(*place, password=os.environ.get("REDISCLI_AUTH"), decode_responses=True)
try:
    said = client.execute_command(*words)
    for line in said if isinstance(said, (list, tuple)) else ["OK" if said is True else said]:
        print(line)
except redis.ResponseError as error:
    print(error)
"""


@dataclass(frozen=True)
class RedisPod:
    """A Redis that runs as the chart says."""

    root: Path
    port: int
    tls_port: int

    def write(self, secret: str, **files: str) -> None:
        """Put a Secret where the pod mounts it; a name's dots are written as two underscores."""
        folder = self.root / "run" / secret
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name.replace("__", ".")
            new = path.with_suffix(".new")
            new.write_text(text)
            new.replace(path)

    def client(self, username: str = "default", password: str | None = None) -> redis.Redis:
        """A client of it."""
        return redis.Redis(HOST, self.port, username=username, password=password, decode_responses=True, socket_timeout=5)

    def refuses(self, username: str, password: str | None) -> bool:
        """Whether nobody comes in so."""
        with self.client(username, password) as client:
            try:
                client.ping()
            except (redis.AuthenticationError, redis.ResponseError):
                return True
        return False


@contextmanager
def running(
    root: Path, values: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]], server: str | Path | None = None
) -> Iterator[RedisPod]:
    """Start it, with the Secrets that it mounts by the folder below /run/secrets. `server` may be another than the wheel's."""
    pod = RedisPod(root, free_port(), free_port())
    for secret, files in secrets.items():
        pod.write(secret, **files)
    for folder in ("tmp", "data"):
        (root / folder).mkdir()
    container = pod_of(render(merged(values_of(SHARED), dict(values))), "redis")["spec"]["containers"][0]
    moved = {
        "/run/secrets": str(root / "run"),
        "/tmp/": f"{root}/tmp/",  # noqa: S108 - the container's
        "dir /data": f"dir {root}/data",
        "bind * -::*": f"bind {HOST}\\nport {pod.port}",
        "tls-port 6380": f"tls-port {pod.tls_port}",
        "redis-cli ": f"redis-cli -p {pod.port} ",
        "sleep 10": "sleep 0.2",
    }
    programs(root / "bin", server or program())
    with started(container["command"], moved, root, root / "log", "eady to accept"):
        yield pod


@contextmanager
def started(
    command: Sequence[str], moved: Mapping[str, str], root: Path, log: Path, says: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A container's script as a process, with some of its texts in place of others, once its log says that it is up."""
    # At once: what was moved may itself lie below /tmp.
    pattern = re.compile("|".join(map(re.escape, moved)))
    words = [pattern.sub(lambda found: moved[found[0]], word) for word in command]
    found = {"PATH": os.pathsep.join([str(root / "bin"), os.environ["PATH"]])}
    with log.open("wb") as file:
        process = subprocess.Popen(words, env=found, stdout=file, stderr=file, start_new_session=True)
    try:
        eventually(lambda: says in log.read_text(), 20, what=f"{log.name} says {says!r}")
        yield process
    finally:
        end(process)
        # What looks for other users is a process of the container, too, and goes with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def programs(folder: Path, server: str | Path) -> None:
    """A `redis-server`, and the machine's `redis-cli`, else one of ours."""
    folder.mkdir(exist_ok=True)
    (folder / "redis-server").symlink_to(server)
    if known := shutil.which("redis-cli"):
        (folder / "redis-cli").symlink_to(known)
    else:
        (folder / "redis-cli").write_text(CLIENT.format(python=sys.executable))
        (folder / "redis-cli").chmod(0o755)

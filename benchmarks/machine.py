"""What a run was made on, and under which conditions."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import psutil
import psycopg
import redis
from psycopg import sql

SYNCS = 50
PAGE = bytes(8192)
# What decides on speed and safety, as the servers have it while they are measured.
POSTGRES = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size")
VALKEY = ("appendonly", "appendfsync")
WAYS = "servers and workers on this machine, over Unix sockets; 2 pool processes; no metrics port; the log at WARNING"


def describe(directory: Path, database: psycopg.Connection, client: redis.Redis) -> dict[str, str]:
    """Machine and versions, as words."""
    return {
        "machine": f"{cores()} cores, {model()}, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "fsync": f"{_sync_ms(directory):.2f} ms",
        "versions": f"Python {platform.python_version()}, PostgreSQL {database.info.parameter_status('server_version')}, "
        f"Valkey {client.info('server').get('valkey_version', '?')}",
        "PostgreSQL": ", ".join(f"{name} {_shown(database, name)}" for name in POSTGRES),
        "Valkey": ", ".join(f"{name} {client.config_get(name)[name]}" for name in VALKEY),
        "conditions": WAYS,
    }


def _shown(database: psycopg.Connection, name: str) -> str:
    row = database.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone()
    return str(row[0]) if row else "?"


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def model() -> str:
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _sync_ms(directory: Path) -> float:
    path = directory / "sync"
    with path.open("wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(SYNCS):
            file.write(PAGE)
            os.fsync(file.fileno())
        taken_s = time.perf_counter() - begun
    path.unlink()
    return taken_s / SYNCS * 1000

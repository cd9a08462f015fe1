"""The environment of the processes of `telemetry up`, and the servers that it does not name and that must be started."""

from __future__ import annotations

import glob
import os
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from telemetry.local.secure import Secure
from telemetry.local.servers import Postgres, TlsFront, Valkey
from telemetry.local.servers.server import Server
from telemetry.readings.names import CSV_ENDINGS
from telemetry.settings import PREFIX, Settings, SettingsError

ROOT_WARNING = "You're running the worker with superuser privileges"
UPLOADS = "UPLOADS_SOURCES"
DATABASE, BROKER = f"{PREFIX}DATABASE_URL", f"{PREFIX}BROKER_URL"


def environment(given: Mapping[str, str], paths: Sequence[Path], data_dir: Path | None, *, replay: bool) -> dict[str, str]:
    """The environment of all processes, without URLs and ports, which are known once the servers run. Raises SettingsError."""
    # A process belongs to the centre unless its line in the Procfile names a role, whatever the role of our own environment.
    environ = dict(given) | {f"{PREFIX}ROLE": "central"}
    for name in (f"{DATABASE}_FILE", f"{BROKER}_FILE"):
        if name in environ:
            environ[name] = str(Path(environ[name]).absolute())
    if data_dir is not None:
        environ[f"{PREFIX}DATA_DIR"] = str(data_dir)
    if paths:
        exact = {path: _exact(path, "--csv") for path in paths}
        patterns = ([f"{each}/*{end}" for end in CSV_ENDINGS] if path.is_dir() else [each] for path, each in exact.items())
        environ[f"{PREFIX}SOURCES"] = ",".join(pattern for some in patterns for pattern in some)
    if replay:
        environ[f"{PREFIX}LOOP_MODE"] = "true"
    settings = Settings.load(environ)
    if settings.broker_urls:
        raise SettingsError(f"{BROKER}S names several brokers, and telemetry up runs one collector for one: set {BROKER}")
    directory = settings.data_dir.absolute()
    environ[f"{PREFIX}DATA_DIR"] = str(directory)
    # Absolute, because the path is part of what identifies a source, to the streamer and to the API.
    environ[f"{PREFIX}SPOOL_DIR"] = str(Path(environ.get(f"{PREFIX}SPOOL_DIR", directory / "spool")).absolute())
    # The Procfile's line for uploads takes the pattern from here, as a shell could not escape the directory's name.
    environ[UPLOADS] = f"{_exact(Path(environ[f'{PREFIX}SPOOL_DIR']), 'the directory')}/*.csv"
    environ.setdefault(f"{PREFIX}STATE_DIR", str(directory / "state"))
    # The API listens on loopback only, so nobody from another machine is let in.
    environ.setdefault(f"{PREFIX}API_ACCESS", "open")
    # Nobody else exports the GPUs of these files; boards and alerts are about them.
    environ.setdefault(f"{PREFIX}EXPORTER_GPUS", "true")
    # Celery warns of root in each worker; on one machine, on loopback, three such warnings help nobody.
    environ["PYTHONWARNINGS"] = ",".join(filter(None, [environ.get("PYTHONWARNINGS"), f"ignore:{ROOT_WARNING}"]))
    environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environ.get("PATH", os.defpath)])
    return environ


def servers(environ: Mapping[str, str], directory: Path, secure: Secure | None = None) -> dict[Server, str]:
    """The embedded servers that are needed, in the order of their start, each with the variable that takes its URL.

    `secure` has the broker's file of users, and the certificates of its front, whose URL then takes the place of its own.
    """
    valkey = Valkey(directory / "valkey", {"aclfile": str(secure.users_file)} if secure else None)
    offered: dict[Server, str] = {Postgres(directory / "postgres"): DATABASE, valkey: BROKER}
    if secure:
        offered[TlsFront(directory / "tls", valkey, secure.certificates)] = BROKER
    return {server: name for server, name in offered.items() if name not in environ and f"{name}_FILE" not in environ}


def _exact(path: Path, what: str) -> str:
    """A glob pattern that matches this path only."""
    pattern = glob.escape(str(path.absolute()))
    if "," in pattern or "\n" in pattern:
        raise SettingsError(
            f"{what} {path} has a comma or a line break in its name, which {PREFIX}SOURCES cannot hold; rename it"
        )
    return pattern

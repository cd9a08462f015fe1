"""What the processes of `telemetry up` are given: their environment, and the servers that nobody else provides."""

from __future__ import annotations

import glob
import os
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from telemetry.local.servers import Postgres, Valkey
from telemetry.local.servers.server import Server
from telemetry.settings import PREFIX, Settings, SettingsError

ROOT_WARNING = "You're running the worker with superuser privileges"
UPLOADS = "UPLOADS_SOURCES"
DATABASE, BROKER = f"{PREFIX}DATABASE_URL", f"{PREFIX}BROKER_URL"


def environment(given: Mapping[str, str], paths: Sequence[Path], data_dir: Path | None, *, replay: bool) -> dict[str, str]:
    """The environment of all processes, less the URLs and ports, which are known once the servers run."""
    # A process whose line in the Procfile names no role belongs to the centre, wherever `up` is called.
    made = dict(given) | {f"{PREFIX}ROLE": "central"}
    for name in (f"{DATABASE}_FILE", f"{BROKER}_FILE"):
        if name in made:
            made[name] = str(Path(made[name]).absolute())
    if data_dir is not None:
        made[f"{PREFIX}DATA_DIR"] = str(data_dir)
    if paths:
        patterns = (f"{_exact(path, '--csv')}/*.csv" if path.is_dir() else _exact(path, "--csv") for path in paths)
        made[f"{PREFIX}SOURCES"] = ",".join(patterns)
    if replay:
        made[f"{PREFIX}LOOP_MODE"] = "true"
    directory = Settings.load(made).data_dir.absolute()
    made[f"{PREFIX}DATA_DIR"] = str(directory)
    # Absolute: it is part of what a source is known by, to the streamer and to the API alike.
    made[f"{PREFIX}SPOOL_DIR"] = str(Path(made.get(f"{PREFIX}SPOOL_DIR", directory / "spool")).absolute())
    # The Procfile's uploads find it here: in a shell nothing would escape what is a pattern in its name.
    made[UPLOADS] = f"{_exact(Path(made[f'{PREFIX}SPOOL_DIR']), 'the directory')}/*.csv"
    # The API listens on loopback alone, so nobody from elsewhere is let in.
    made.setdefault(f"{PREFIX}API_ACCESS", "open")
    # Celery warns each worker of root; on one machine, on loopback, that says nothing new three times over.
    made["PYTHONWARNINGS"] = ",".join(filter(None, [made.get("PYTHONWARNINGS"), f"ignore:{ROOT_WARNING}"]))
    made["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), made.get("PATH", os.defpath)])
    return made


def servers(environ: Mapping[str, str], directory: Path) -> dict[Server, str]:
    """The embedded servers that are needed, in the order of their start, each with the variable that takes its URL."""
    offered: dict[Server, str] = {Postgres(directory / "postgres"): DATABASE, Valkey(directory / "valkey"): BROKER}
    return {server: name for server, name in offered.items() if name not in environ and f"{name}_FILE" not in environ}


def _exact(path: Path, what: str) -> str:
    """A pattern that matches this path alone."""
    exact = glob.escape(str(path.absolute()))
    if "," in exact or "\n" in exact:
        raise SettingsError(f"{what} {path} has a comma or a line break in its name, which {PREFIX}SOURCES cannot hold")
    return exact

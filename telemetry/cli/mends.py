"""What to do about a broker or a database that does not answer `telemetry status`."""

from __future__ import annotations

import os
from pathlib import Path

from telemetry.local.announcement import environment
from telemetry.settings import PREFIX, Settings

# The directories of the servers of `telemetry up`, and how the documents call them.
DIRECTORIES = {"broker": "valkey", "database": "postgres"}


def mend(part: str, settings: Settings) -> str:
    """One sentence without its full stop."""
    name = f"{PREFIX}{part.upper()}_URL" + ("S" if part == "broker" and settings.broker_urls else "")
    if log := _embedded_log(part, name, settings.data_dir):
        return f"telemetry up starts it again if it dies; one that is frozen needs you. Its log is {log}"
    return f"see whether it runs, whether this machine reaches it, and whether {name} is right"


def _embedded_log(part: str, name: str, data_dir: Path) -> Path | None:
    """The log of the server, if it is one of a `telemetry up` that runs now and was not named by the environment."""
    log = data_dir / DIRECTORIES[part] / "log"
    return log if name in environment(data_dir, os.environ) and log.exists() else None

"""How commands find a running `telemetry up`: a file in its data directory that is there as long as it runs.

`services.json` holds the settings that its processes were given and that other commands share. The lock on the directory
tells whether `up` still runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

from telemetry import lock
from telemetry.settings import Settings, variable

NAME = "services.json"
# Settings of single processes, which other commands must not take over.
PRIVATE = {"role", "sources", "sources_final", "loop_mode", "api_access", "metrics_port", "heartbeat_file"}
SHARED = {variable(item) for item in fields(Settings) if item.name not in PRIVATE}


def environment(data_dir: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The settings of the `up` that runs in a data directory, without those that the environment names itself."""
    env = os.environ if environ is None else environ
    if not lock.is_held(data_dir):
        return {}
    try:
        settings = json.loads((data_dir / NAME).read_text(encoding="utf-8"))["environment"]
    except (OSError, ValueError, KeyError):
        return {}
    own = set(map(_setting, env))
    return {name: value for name, value in settings.items() if _setting(name) not in own}


@contextmanager
def announced(data_dir: Path, environ: Mapping[str, str], urls: Mapping[str, str]) -> Iterator[None]:
    """Let other commands find what runs while this is entered. The file may hold passwords, so only its owner may read it."""
    settings = {name: value for name, value in environ.items() if _setting(name) in SHARED}
    path = data_dir / NAME
    new = path.with_name(f"{NAME}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "environment": settings, "urls": dict(urls)}, file, indent=2)
    new.replace(path)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _setting(name: str) -> str:
    """The setting of a variable: that of a secret and the one that names its file are the same, and so are several brokers."""
    return name.removesuffix("_FILE").replace("BROKER_URLS", "BROKER_URL")

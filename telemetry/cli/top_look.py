"""What `telemetry top` shows: the fleet, asked of an API or of the database of this system, beside what the reader does.

What is now in the database is looked up by `gpus`. Ages are by the clock of whoever answers.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from telemetry.cli.top_screen import METRICS
from telemetry.readings.series import MIG_INSTANCE

Look = Callable[[], list[dict[str, Any]]]
# An API that does not answer is named after so long; it is asked again three times meanwhile.
ANSWER_S = 5.0
ASKING = "asking for the fleet …"


@dataclass(frozen=True, slots=True)
class FleetLook:
    """The fleet as it was seen last, when that was on this process's monotonic clock, and what went wrong since."""

    gpus: list[dict[str, Any]]
    at_s: float
    trouble: str


class Looking(threading.Thread):
    """Looks again and again in a thread of its own, so that keys are answered while nothing else answers."""

    def __init__(self, look: Look, every_s: float) -> None:
        super().__init__(name="look", daemon=True)
        self._look = look
        self._every_s = every_s
        self._ended = threading.Event()
        self.seen = FleetLook([], time.monotonic(), ASKING)

    def run(self) -> None:
        """Look until `end` is called."""
        while not self._ended.is_set():
            try:
                self.seen = FleetLook(self._look(), time.monotonic(), "")
            except click.ClickException as error:
                self.seen = FleetLook(self.seen.gpus, self.seen.at_s, f"{error.message} (it is asked again)")
            except Exception:
                # What is closed at the end fails under a question that is out.
                if not self._ended.is_set():
                    raise
            self._ended.wait(self._every_s)

    def end(self) -> None:
        """Do not look again. A question that is out is not waited for."""
        self._ended.set()


@contextmanager
def looker(data_dir: Path | None) -> Iterator[Look]:
    """What looks at the fleet: of the API at TELEMETRY_API_URL, or else the database. Its errors are click's, of one line."""
    if os.environ.get("TELEMETRY_API_URL"):
        with _of_api() as look:
            yield look
    else:
        yield _of_database(data_dir)


def _of_database(data_dir: Path | None) -> Look:
    # Who asks an API needs none of these.
    from telemetry.cli.database import database  # noqa: PLC0415
    from telemetry.cli.gpus import looked  # noqa: PLC0415
    from telemetry.cli.session import load_settings  # noqa: PLC0415

    settings = load_settings(data_dir)

    def look() -> list[dict[str, Any]]:
        with database(settings, "top") as engine:
            return looked(engine, settings.health_rules, None)

    return look


@contextmanager
def _of_api() -> Iterator[Look]:
    try:
        from telemetry.client import Client, ClientError  # noqa: PLC0415 - an edge lacks httpx
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"TELEMETRY_API_URL needs {error.name}; install telemetry-pipeline[client], or unset it to ask the database"
        ) from None
    try:
        with Client(timeout_s=ANSWER_S) as api:
            asked: list[str] = []

            def look() -> list[dict[str, Any]]:
                try:
                    # A metric may have its first reading while this runs.
                    if len(asked) < len(METRICS):
                        names = {metric["name"] for metric in api.metrics()}
                        asked[:] = [metric for metric in METRICS if metric in names]
                    after_s = api.silent_after_s()
                    latest = list(api.latest(metric=asked, max_age=timedelta(seconds=after_s))) if asked else []
                    gpus, faulty = list(api.gpus()), list(api.health(state="faulty"))
                    return joined(gpus, latest, faulty, api.server_time() or datetime.now(UTC), after_s)
                except ClientError as error:
                    raise click.ClickException(str(error)) from None

            yield look
    except (ClientError, ValueError) as error:
        raise click.ClickException(str(error)) from None


def joined(gpus: list[Any], latest: list[Any], faulty: list[Any], now: datetime, silent_after_s: float) -> list[dict[str, Any]]:
    """GPUs of the API with their latest readings, as `telemetry.cli.gpus.looked` tells of them. `now` is the API's clock."""
    faults = {each["gpu"]: each["reasons"][0]["says"] for each in faulty}
    rows: dict[str, dict[str, Any]] = {}
    for gpu in gpus:
        about = {name: gpu[name] for name in ("id", "host", "index", "model", "silent_for_s")}
        known = {"silent_after_s": silent_after_s, "fault": faults.get(gpu["id"])}
        rows[gpu["id"]] = {**about, **known, "values": dict.fromkeys(METRICS), "owner": {}}
    # The newest is the last, and stays.
    for reading in sorted(latest, key=lambda reading: reading["timestamp"]):
        row = rows.get(reading["gpu"])
        if row is None:
            continue
        row["silent_for_s"] = max(0.0, (now - datetime.fromisoformat(reading["timestamp"])).total_seconds())
        row["owner"] = reading["owner"] or row["owner"]
        if MIG_INSTANCE not in reading["labels"]:
            row["values"][reading["metric"]] = reading["value"]
    return list(rows.values())

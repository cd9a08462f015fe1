"""What an edge really imports: nothing of the centre, and no library that its installation lacks."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from celery.utils.imports import symbol_by_name
from telemetry.celery import process_app

app = process_app()
app.loader.import_default_modules()
assert app.connection().transport.driver_type == "redis"
steps = [step for steps in app.steps.values() for step in steps]
for name in (*steps, app.conf.beat_scheduler):
    symbol_by_name(name)
print(*sys.modules)
"""
ROOMS = {"api", "cli", "client", "collector", "exporter", "local", "simulate", "store", "verify"}


def test_an_edge_loads_nothing_of_the_centre() -> None:
    environ = {"TELEMETRY_ROLE": "edge", "TELEMETRY_METRICS_PORT": "9102"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    modules = set(done.stdout.split())
    expected = {"streamer.tasks", "streamer.schedule", "transport", "monitoring.port.worker", "monitoring.port.watchdog"}
    assert {f"telemetry.{name}" for name in expected} <= modules
    assert not {name.split(".")[0] for name in modules} & forbidden()
    assert not {name.split(".")[1] for name in modules if name.startswith("telemetry.")} & ROOMS


def forbidden() -> set[str]:
    """The libraries that import-linter keeps from an edge."""
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[1] / "setup.cfg")
    names = set(parser["importlinter:contract:edge"]["forbidden_modules"].split())
    assert {"alembic", "flask", "flower", "gunicorn", "psycopg", "sqlalchemy"} <= names
    return names

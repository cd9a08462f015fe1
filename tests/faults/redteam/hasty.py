"""A collector whose time limits are short, as the database's transactions cannot be as slow as in the world in a test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from telemetry.celery import process_app, process_settings

app = process_app()
if process_settings().role == "central":
    from telemetry.collector import tasks

    app.conf.update(task_soft_time_limit=2, task_time_limit=30)
    tasks.PATIENCE_S = 0.9

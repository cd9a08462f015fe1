"""Writes a configuration with which Prometheus scrapes what `telemetry up` runs: `prometheus --config.file=FILE`.

It lies in the data directory and is written at each start, as ports change. It is JSON, which YAML parsers read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from telemetry import resources
from telemetry.local.ports import HOST

NAME = "prometheus.yml"


def write(directory: Path, ports: Mapping[str, int]) -> Path:
    """Write the configuration, with the alerts and a job for each process, and return its path. `ports` are by name."""
    jobs = [{"job_name": name, "static_configs": [{"targets": [f"{HOST}:{port}"]}]} for name, port in ports.items()]
    configuration = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [str(resources.ALERTS)],
        "scrape_configs": jobs,
    }
    path = directory / NAME
    path.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
    return path

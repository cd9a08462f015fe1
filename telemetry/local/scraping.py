"""Writes a configuration with which Prometheus scrapes what `telemetry up` runs: `prometheus --config.file=FILE`.

It lies in the data directory and is written at each start, as ports change. It is JSON, which YAML parsers read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telemetry import resources
from telemetry.local.ports import HOST

NAME = "prometheus.yml"


def write(directory: Path, ports: Mapping[str, int], *, is_open: bool = False) -> Path:
    """Write the configuration, with the alerts and a job for each process, and return its path. `ports` are by name.

    Of an API that is open, Prometheus also reads what is older than its own.
    """
    jobs = [{"job_name": name, "static_configs": [{"targets": [f"{HOST}:{port}"]}]} for name, port in ports.items()]
    configuration: dict[str, Any] = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [str(resources.ALERTS)],
        "scrape_configs": jobs,
    }
    if is_open:
        configuration["remote_read"] = [{"url": f"http://{HOST}:{ports['api']}/api/v1/prometheus/read"}]
    path = directory / NAME
    path.write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")
    return path

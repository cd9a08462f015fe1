"""The walk in docs/API_SPECIFICATION.md: each step is run as it stands there, on a system like the one it speaks of."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "API_SPECIFICATION.md").read_text()
WALK = PAGE.partition("## A walk\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"```(sh|python)\n(.*?)```", WALK, re.DOTALL)


def test_every_step_of_the_walk_works(
    start_api: Callable[..., tuple[str, int]],
    start_collector: Callable[..., Any],
    start_edge: Callable[..., Any],
    telemetry: Callable[..., Any],
    environ: Mapping[str, str],
    tmp_path: Path,
) -> None:
    base, _ = start_api(TELEMETRY_API_ACCESS="open")
    start_collector()
    start_edge(f"{environ['TELEMETRY_SPOOL_DIR']}/*.csv", TELEMETRY_EDGE="central/uploads", TELEMETRY_LOOP_MODE="false")

    # As with `make run`, there is a fleet already, with less of a history.
    present = tmp_path / "present.csv"
    telemetry("simulate", "--hosts", "2", "--gpus", "8", "--interval", "60", "--duration", "600", "-o", present)
    assert telemetry("ingest", present).returncode == 0

    directory = tmp_path / "walk"
    directory.mkdir()
    said = ""
    for language, step in STEPS:
        shell = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*shell, step.replace("http://127.0.0.1:8080", base)],
            cwd=directory,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert len(STEPS) == 5
    sent = {row["uuid"] for row in csv.DictReader((directory / "fleet.csv").read_text().splitlines())}
    assert {gpu["id"] for gpu in json.loads((directory / "gpus.json").read_text())["items"]} == sent
    assert '"state":"done"' in said
    # An hour by five minutes, of which the first may have passed by now, and one may have no reading.
    assert len(re.findall(r"^\d\d:\d\d +\d+\.\d °C #+$", said, re.MULTILINE)) >= 10
    assert "timestamp,gpu,metric,value,unit,labels\n" in said

"""The wheel carries what a running system reads, and nothing that only a checkout needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from telemetry import resources

ROOT = Path(__file__).parents[2]
SOURCES = ("telemetry", "migrations", "setup.cfg", "pyproject.toml", "README.md", "Procfile")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in it."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(checkout / "dist"), str(checkout)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (checkout / "dist").glob("*.whl")
    return set(ZipFile(path).namelist())


def test_all_modules_are_in_it(wheel: set[str]) -> None:
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "telemetry").rglob("*.py")} <= wheel


def test_files_that_a_running_system_reads_are_in_it(wheel: set[str]) -> None:
    assert {"telemetry/py.typed", "telemetry/health/defaults.toml", str(resources.ALERTS.relative_to(ROOT))} <= wheel
    shared = {name.partition("/share/telemetry-pipeline/")[2] for name in wheel}
    assert {"Procfile", "migrations/env.py"} <= shared


def test_boards_and_scripts_are_not_in_it(wheel: set[str]) -> None:
    assert not [name for name in wheel if name.endswith(".json") or "boards" in name or name.startswith(("scripts", "tests"))]

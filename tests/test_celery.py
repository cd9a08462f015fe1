"""The application is made when it is asked for; until then importing its module changes nothing in the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, os, sys
from celery import signals

def state():
    receivers = {name: len(signal.receivers or ()) for name, signal in vars(signals).items() if hasattr(signal, "receivers")}
    loggers = [(logger.level, list(logger.handlers)) for logger in (logging.root, logging.getLogger("telemetry"))]
    return dict(os.environ), receivers, loggers, "numpy" in sys.modules

before = state()
import telemetry.celery
assert state() == before, (before, state())
assert not telemetry.celery.process_app.cache_info().currsize
"""

APP = """
import os, telemetry.celery
from celery.app.utils import find_app
app = find_app("telemetry")
assert app is telemetry.celery.app is telemetry.celery.process_app()
assert app.telemetry_settings is telemetry.celery.process_settings()
assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
try:
    telemetry.celery.other
except AttributeError as error:
    print(error)
"""


@pytest.mark.parametrize("environ", [{}, {"TELEMETRY_BATCH_SIZE": "x", "TELEMETRY_BATCHSIZE": "1"}, {"TELEMETRY_ROLE": "edge"}])
def test_importing_the_module_changes_nothing(environ: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("role", ["central", "edge"])
def test_celery_finds_the_application(role: str) -> None:
    environ = {"TELEMETRY_ROLE": role}
    done = subprocess.run([sys.executable, "-c", APP], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "module 'telemetry.celery' has no attribute 'other'\n"

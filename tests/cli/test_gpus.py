"""`telemetry gpus` shows what is now of each GPU: no value that is old, none of an instance for the whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import redis
from sqlalchemy import Engine

from telemetry.cli.gpus import lines
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, now_s, readings
from tests.fixtures.fleet import series

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_what_is_now_is_shown(settings: Settings, engine: Engine, redis_client: redis.Redis, telemetry: Run) -> None:
    now = now_s()
    rows = (
        (series("GPU_UTIL", "a", 0, namespace="ml", pod="train-1"), now - 30, 92.0),
        (series("GPU_UTIL", "a", 0, namespace="ml", pod="train-1"), now - 90, 1.0),
        (series("POWER_USAGE", "a", 0), now - 30, 301.4),
        # Of an instance, and long ago.
        (series("FB_USED", "a", 0, GPU_I_ID="1"), now - 30, 512.0),
        (series("GPU_TEMP", "b", 1), now - 12_600, 62.0),
    )
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    collector.persist(*wire.encode(batch(readings(*rows))))
    used, silent = json.loads(telemetry("gpus", "--json").stdout)
    assert used["values"] == {
        "DCGM_FI_DEV_GPU_UTIL": 92.0,
        "DCGM_FI_DEV_GPU_TEMP": None,
        "DCGM_FI_DEV_POWER_USAGE": 301.4,
        "DCGM_FI_DEV_FB_USED": None,
    }
    assert (used["id"], used["owner"]) == ("GPU-a0", {"namespace": "ml", "pod": "train-1"})
    assert 30 <= used["silent_for_s"] < 90
    assert (silent["id"], set(silent["values"].values())) == ("GPU-b1", {None})
    shown = telemetry("gpus").stdout
    assert "92 %     -  301 W       -  ml/train-1" in shown
    assert "3 h ago  SILENT\n2 GPUs, 1 silent\n" in shown
    assert telemetry("gpus", "--host", "a").stdout.endswith("\n1 GPU\n")
    assert telemetry("gpus", "--host", "no").stdout == "0 GPUs\n"


def test_a_gpu_of_which_little_is_known_has_its_line() -> None:
    bare: dict[str, Any] = {"id": "GPU-1", "host": None, "index": None, "model": None, "silent_for_s": None, "owner": {}}
    bare |= {"silent_after_s": 600.0, "fault": None}
    _, line, total = lines([{**bare, "values": {"DCGM_FI_DEV_FB_USED": 2048.0}}])
    assert line.text.split() == ["GPU-1", "?", "-", "-", "-", "-", "2.1", "GB", "-", "never", "SILENT"]
    assert (line.colour, total.text) == ("yellow", "1 GPU, 1 silent")
    _, line, total = lines([{**bare, "silent_for_s": 3.0, "fault": "XID 79", "values": {}}])
    assert line.text.endswith("3 s ago  FAULTY: XID 79")
    assert (line.colour, total.text) == ("red", "1 GPU, 1 faulty")

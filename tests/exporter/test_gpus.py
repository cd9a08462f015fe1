"""The latest values of GPUs, under the names and labels of dcgm-exporter."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.exporter import gpus
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from tests.batches import batch, key, now_s, readings
from tests.scrape import total, values


def collector(settings: Settings, engine: Engine, client: redis.Redis) -> Collector:
    return Collector(settings, engine, Acks(client, Keys(settings.key_prefix), 60))


def test_values_that_are_old_are_not_shown_and_gpus_that_fell_silent_are(
    settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    now = now_s()
    rows = [
        (key(gpu="GPU-1", pod="p"), now, 7.0),
        (key(gpu="GPU-1", pod="p"), now - 9, 6.0),
        (key(gpu="GPU-2"), now - 3600, 5.0),
    ]
    collector(settings, engine, redis_client).persist(*wire.encode(batch(readings(*rows))))
    shown = values(gpus.look(engine))
    assert total(shown, "DCGM_FI_DEV_GPU_UTIL", UUID="GPU-1", gpu="0", Hostname="host-1", pod="p", modelName="H100") == 7
    assert total(shown, "DCGM_FI_DEV_GPU_UTIL", UUID="GPU-2") is None
    assert total(shown, "telemetry_gpu_reading_age_seconds", UUID="GPU-2") == pytest.approx(3600, abs=60)


def test_names_and_labels_of_strangers_stay_their_own_and_a_gpu_that_changed_its_pod_is_shown_once(
    settings: Settings, engine: Engine, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = now_s()
    rows = [
        (key("up"), now, 0.0),
        (key("telemetry_dead_letters", gpu="GPU-9"), now, 9.0),
        (key(pod="old"), now - 80, 5.0),
        (key(pod="new", __name__="up", UUID="forged", **{"1st": "x"}), now, 7.0),
        (key("DCGM_FI_DEV_GPU_TEMP", gpu="GPU-3"), now - 100, 60.0),
    ]
    collector(settings, engine, redis_client).persist(*wire.encode(batch(readings(*rows))))
    shown = values(gpus.look(engine))
    assert {name for name, _ in shown} == {
        "DCGM_FI_DEV_GPU_UTIL",
        "DCGM_FI_DEV_GPU_TEMP",
        "telemetry_gpu_reading_age_seconds",
    }
    assert [(dict(labels), value) for (name, labels), value in shown.items() if name == "DCGM_FI_DEV_GPU_UTIL"] == [
        ({"UUID": "GPU-1", "gpu": "0", "Hostname": "host-1", "device": "nvidia0", "modelName": "H100", "pod": "new"}, 7.0)
    ]
    monkeypatch.setattr(gpus, "MAX_SERIES", 4)
    assert total(values(gpus.look(engine)), "DCGM_FI_DEV_GPU_TEMP") is None, "the oldest is left out"

"""What a process keeps from its start is left out by the garbage collector."""

from __future__ import annotations

import gc

import pytest
from celery import signals

from telemetry import garbage


@pytest.mark.parametrize("name", ["worker_init", "worker_process_init", "worker_ready", "beat_init"])
def test_what_lives_when_a_process_is_set_up_is_not_looked_through_again(name: str) -> None:
    garbage.install()
    try:
        getattr(signals, name).send(sender=None)
        frozen = gc.get_freeze_count()
        assert frozen > 10_000
        # Other receivers and threads make some objects meanwhile.
        assert len(gc.get_objects()) < frozen / 10
    finally:
        gc.unfreeze()

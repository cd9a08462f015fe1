"""Two machines with one name of an edge: the first streams, the other one reads nothing, and that shows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from telemetry.progress import machines
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from telemetry.streamer import machine
from telemetry.streamer.tick import Streamer
from tests.waiting import eventually

LEASE_S = 2
Standing = Callable[[str], Streamer]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, lease_s=LEASE_S)


@pytest.fixture
def standing(settings: Settings, redis_client: redis.Redis, tmp_path: Path) -> Standing:
    """Makes the streamer of a machine with a file of its own, which begins as that of all others does."""

    def made(machine_id: str) -> Streamer:
        path = tmp_path / machine_id / "gpu.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("timestamp,metric_name,uuid,value\n2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,GPU-1,30\n")
        given = replace(settings, machine_id=machine_id, sources=(str(path),))
        return Streamer(given, redis_client, lambda _: None, standing=True)

    return made


def test_the_second_machine_of_a_name_reads_nothing_and_that_is_told(
    standing: Standing, settings: Settings, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, replica = standing("one"), standing("two"), standing("one")
    for streamer in (first, second, replica, second):
        streamer.tick(0.1)
    assert len(first.streams) == 1
    assert not second.streams
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "give both the same TELEMETRY_MACHINE_ID" in errors[0]
    keys = Keys(settings.key_prefix)
    assert list(machines.refused(redis_client, keys, [settings.edge, "no/edge"])) == [settings.edge]
    # A refused one is none of the streamers that share the files.
    assert redis_client.zcard(keys.streamers(settings.edge)) == 2


def test_the_second_machine_streams_when_the_first_is_gone_for_a_lease(
    standing: Standing, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = standing("one"), standing("two")
    first.tick(0.1)
    second.tick(0.1)
    assert not second.streams
    caplog.set_level(logging.WARNING)

    def streams() -> bool:
        second.tick(0.1)
        return bool(second.streams)

    eventually(streams, 3 * LEASE_S, every_s=0.1, what="the second machine streams")
    assert "is streamed from this machine now" in caplog.text
    # The first one was frozen: it gives up what it held.
    first.tick(0.1)
    assert not first.streams


def test_a_machine_is_known_by_its_boot_as_cloned_ones_have_one_id(
    settings: Settings, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    claims = machines.Machines(redis_client, Keys(settings.key_prefix), settings.edge, LEASE_S)
    clone, boot = tmp_path / "machine-id", tmp_path / "boot_id"
    monkeypatch.setattr(machine, "FILES", (str(clone), str(boot)))
    clone.write_text("a clone\n")
    answers = []
    for boot_id in ("one", "one", "two"):
        boot.write_text(boot_id)
        answers.append(machine.Machine(settings, claims).streams())
    assert answers == [True, True, False]
    # Without either file, all processes of a machine still agree.
    monkeypatch.setattr(machine, "FILES", ())
    first, second = (machine.Machine(replace(settings, edge="other/edge"), claims) for _ in range(2))
    assert first._id == second._id

"""A log that is rotated at every line, in each of the ways that logs are: with every part real, and `verify` as the judge."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from telemetry.celery import make_app
from telemetry.progress import reading
from telemetry.progress.keys import Keys
from telemetry.progress.losses import of_edge
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.tick import Streamer
from tests.streamer.edge import HEADER, rows
from tests.streamer.packs import pack
from tests.waiting import eventually

LINES = 30
# What an operator says of a log whose header stands in its first file alone.
SAID = f'[[source]]\npath = "*"\nheader = "{HEADER.strip()}"\n'


def renamed(log: Path, number: int) -> None:
    """Moved away, to a name that stays."""
    log.rename(log.with_name(f"{log.name}.{number:03}"))


def shifted(log: Path, number: int) -> None:
    """Moved to .1, what was there to .2, and so on."""
    for each in range(number, 0, -1):
        log.with_name(f"{log.name}.{each}").rename(log.with_name(f"{log.name}.{each + 1}"))
    log.rename(log.with_name(f"{log.name}.1"))


def packed(log: Path, number: int) -> None:
    """Moved away and packed at once."""
    pack(log.rename(log.with_name(f"{log.name}.{number:03}")))


def packed_late(log: Path, number: int) -> None:
    """Moved away, and packed at the next rotation."""
    before = log.with_name(f"{log.name}.{number - 1:03}")
    if before.exists():
        pack(before)
    log.rename(log.with_name(f"{log.name}.{number:03}"))


def copied(log: Path, number: int) -> None:
    """Copied, and cut to nothing."""
    shutil.copyfile(log, log.with_name(f"{log.name}.{number:03}"))
    log.write_text("")


def copied_and_packed(log: Path, number: int) -> None:
    """The same, and the copy is packed."""
    copied(log, number)
    pack(log.with_name(f"{log.name}.{number:03}"))


@pytest.mark.parametrize("rotate", [renamed, shifted, packed, packed_late, copied, copied_and_packed])
@pytest.mark.parametrize(("ticks_every", "header"), [(1, "in each file"), (7, "in each file"), (1, "once"), (7, "once")])
def test_a_log_that_is_rotated_at_every_line_is_stored_exactly(
    start_collector: Callable[[], object],
    settings: Settings,
    redis_client: redis.Redis,
    telemetry: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rotate: Callable[[Path, int], None],
    ticks_every: int,
    header: str,
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "gpu.csv"
    said = tmp_path / "sources.toml"
    said.write_text(SAID if header == "once" else "")
    monkeypatch.setenv("TELEMETRY_SOURCE_SETTINGS", str(said))
    said_of = Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(said)}).source_settings
    settings = replace(
        settings, source_settings=said_of, sources=(str(folder / "*"),), close_after_s=0.2, lease_s=2, republish_after_s=0.2
    )
    app = make_app(settings)
    streamer = Streamer(settings, redis_client, publisher(app, settings))
    start_collector()

    def done() -> bool:
        streamer.tick(0.05)
        states = reading.sources(redis_client, Keys(settings.key_prefix), settings.edge).values()
        committed = {state.path for state in states if state.all_committed}
        return committed >= {str(path) for path in folder.iterdir() if path.stat().st_size}

    try:
        for number in range(LINES):
            with log.open("a") as writing:
                writing.write((HEADER if header == "in each file" or not number else "") + rows(number, number + 1))
            if number % ticks_every == 0:
                streamer.tick(0)
            if number < LINES - 1:
                rotate(log, number)
        eventually(done, 60)
    finally:
        streamer.close()
        app.close()
    verified = telemetry("verify", "--json", *sorted(path for path in folder.iterdir() if path.stat().st_size))
    counts = json.loads(verified.stdout)
    assert (verified.returncode, counts["stored"], counts["missing"], counts["extra"]) == (0, LINES, 0, 0), counts
    assert counts["read"] == counts["stored"] + counts["duplicate"]
    assert of_edge(redis_client, Keys(settings.key_prefix), settings.edge) == []

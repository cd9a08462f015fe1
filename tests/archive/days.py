"""Sealed days for the tests of the archive, and what is asked of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from telemetry.archive import checking, writing
from telemetry.archive.places import Place
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.store.upkeep import chores, dropping, sealing
from telemetry.store.upkeep.chores import SEALING
from tests.batches import key

DAY_S = 86_400
FIRST = date(2025, 7, 18)
SQL = """
    SELECT (extract(epoch FROM time) * 1000000)::bigint, metric, unit, gpu, host, index, model, labels::text, owner::text,
           float8send(value)
    FROM readings ORDER BY 2, 4, 8, 1
"""
STORED = """
    SELECT m.name, g.identity, encode(substr(s.labels_digest, 1, 16), 'hex'), (extract(epoch FROM r.ts) * 1000000)::bigint,
           float8send(r.value)
    FROM stored_samples('-infinity', 'infinity') r JOIN series s ON s.id = r.series_id
    JOIN metrics m ON m.id = s.metric_id JOIN gpus g ON g.id = s.gpu_id ORDER BY 1, 2, 3, 4
"""
# Bits that a way through text or a dictionary might change.
ODD = (0.0, -0.0, 5e-324, -2.2250738585072011e-308, 1e308, 2.0**53 + 2, 0.1, float("inf"), float("-inf"))


def seal(engine: Engine) -> None:
    """Seal all days of before today, and merge what is late."""

    def work(connection: Any, _: Any, limit: int) -> int:
        return sealing.step_at_once(connection, sealing.today(connection), limit)

    chore = replace(SEALING, work=work)
    while chores.run(engine, Settings.load({}), chore, chore.max_rows):
        pass


def drop_month(engine: Engine) -> None:
    """Drop the month of the tests' days, as by hand."""
    with engine.begin() as connection:
        assert dropping.drop(connection, FIRST.replace(day=1))


def archive(engine: Engine, place: Place, **options: Any) -> list[tuple[date, int, str]]:
    """Write what is to be written."""
    written = [writing.write(engine, place, day.day, **options) for day in writing.pending(engine, place, date.max)]
    return [(one.day, one.samples, one.became) for one in written]


def states(engine: Engine, place: Place) -> list[str]:
    """How the days of a place stand."""
    return [checked.state for checked in checking.check(engine, place)]


def tree(place: Place) -> dict[str, bytes]:
    """All files of a directory, and what they hold."""
    return {str(path.relative_to(place.root)): path.read_bytes() for path in Path(place.root).rglob("*") if path.is_file()}


def asked(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    """Ask a database."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def some(days: int = 2, of: int = 4) -> list[tuple[str, int, float]]:
    """Readings of some series, GPUs, owners and days."""
    texts = [key(metric, gpu) for metric in ("m2", "m1") for gpu in ("GPU-2", "GPU-1")]
    texts += [key("m1", "GPU-1", pod="p", namespace="n", link="0"), SeriesKey("m1", "", "h", 3, "d", "A100", {}).text()]
    return [
        (series, day * DAY_S + 60 * n, ODD[(n + place) % len(ODD)])
        for day in range(days)
        for place, series in enumerate(texts)
        for n in range(of)
    ]

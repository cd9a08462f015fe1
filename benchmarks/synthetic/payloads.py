"""The batches of all synthetic edges, encoded by the product before the run, so that the run pays for sending only.

An edge reads each of its series once a second, and a batch has 100 rows, no two with the same key: a second of 100 series, or
ten of 10. They are kept in a file, as ten minutes of a thousand edges are a gigabyte.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgpack
import numpy as np

from benchmarks.data import DAY_US
from telemetry.readings import wire
from telemetry.readings.rows import Readings
from telemetry.readings.series import SeriesKey
from telemetry.simulate.behaviour import METRICS

ROWS = 100
BATCH_BYTES = 50_000
# Batches of each edge before a run: every process of the collector is to have seen every series by then.
WARM_UPS = 10
BEGIN_US = DAY_US + 12 * 3_600_000_000
FINGERPRINT = "0" * 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What an edge reads: so many metrics of each GPU, once a second. It ticks and publishes a batch every `interval_s`."""

    gpus: int
    metrics: int
    interval_s: int

    @property
    def rows_per_s(self) -> float:
        """Rows a second of an edge."""
        return ROWS / self.interval_s


NODE, SMALL = Shape(4, 25, 1), Shape(1, 10, 10)


class Payloads:
    """The batches by edge and number. `encode` first, then `read`."""

    def __init__(self, path: Path, shape: Shape = NODE) -> None:
        self.shape = shape
        self._file: IO[bytes] = path.open("w+b")
        self._places: dict[tuple[int, int], tuple[int, int]] = {}

    def encode(self, edge: int, batches: int) -> None:
        """Write down the batches of an edge."""
        series, seconds = _series(edge, self.shape), self.shape.interval_s
        codes, since_s = np.tile(np.arange(len(series)), seconds), np.repeat(np.arange(seconds), len(series))
        values = np.random.default_rng(edge).integers(0, 100, (batches, ROWS)).astype(np.float64)
        for number in range(batches):
            ts_us = BEGIN_US + (number * seconds + since_s) * 1_000_000
            readings = Readings(series, codes, ts_us, values[number], 0, [], ROWS)
            record = msgpack.packb(wire.encode(_batch(edge, number, readings)))
            self._places[edge, number] = self._file.tell(), len(record)
            self._file.write(record)

    def read(self, edge: int, number: int) -> tuple[dict[str, Any], bytes]:
        """Header and payload of a batch."""
        place, size = self._places[edge, number]
        self._file.seek(place)
        header, payload = msgpack.unpackb(self._file.read(size))
        return header, payload

    def close(self) -> None:
        """Give the file up."""
        self._file.close()


def name(edge: int) -> str:
    """An edge's name."""
    return f"fleet/{edge:04}"


def _series(edge: int, shape: Shape) -> list[str]:
    labels = {"container": "trainer", "pod": f"train-{edge}", "namespace": "fleet"}
    return [
        SeriesKey(metric, f"GPU-fleet-{edge}-{gpu}", f"fleet-{edge}", gpu, f"nvidia{gpu}", "H100", labels).text()
        for gpu in range(shape.gpus)
        for metric in METRICS[: shape.metrics]
    ]


def _batch(edge: int, number: int, readings: Readings) -> wire.Batch:
    start = number * BATCH_BYTES
    source = wire.Source(f"{edge:032x}", f"/telemetry/fleet-{edge}.csv", FINGERPRINT, "dcgm", None)
    identity = f"{edge:016x}{number:016x}"
    return wire.Batch(name(edge), identity, source, start, start + BATCH_BYTES, 2 + number * ROWS, 1, 1, readings)

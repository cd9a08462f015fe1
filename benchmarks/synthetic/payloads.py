"""The batches of all synthetic edges, encoded by the product before the run, so that the run pays for sending only.

An edge has 100 series (4 GPUs of 25 metrics) and reads each once a second: a batch of 100 rows, no two with the same key.
They are kept in a file, as ten minutes of a thousand edges are a gigabyte.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import msgpack
import numpy as np

from benchmarks.data import DAY_US
from telemetry.readings import wire
from telemetry.readings.rows import Readings
from telemetry.readings.series import SeriesKey
from telemetry.simulate.behaviour import METRICS

GPUS = 4
ROWS = 100
BATCH_BYTES = 50_000
# Batches of each edge before a run: every process of the collector is to have seen every series by then.
WARM_UPS = 10
BEGIN_US = DAY_US + 12 * 3_600_000_000
FINGERPRINT = "0" * 32


class Payloads:
    """The batches by edge and second. `encode` first, then `read`."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("w+b")
        self._places: dict[tuple[int, int], tuple[int, int]] = {}

    def encode(self, edge: int, seconds: int) -> None:
        """Write down the batches of an edge."""
        series = _series(edge)
        codes, values = np.arange(ROWS), np.random.default_rng(edge).integers(0, 100, (seconds, ROWS)).astype(np.float64)
        for second in range(seconds):
            ts_us = np.full(ROWS, BEGIN_US + second * 1_000_000)
            readings = Readings(series, codes, ts_us, values[second], 0, [], ROWS)
            record = msgpack.packb(wire.encode(_batch(edge, second, readings)))
            self._places[edge, second] = self._file.tell(), len(record)
            self._file.write(record)

    def read(self, edge: int, second: int) -> tuple[dict[str, Any], bytes]:
        """Header and payload of a batch."""
        place, size = self._places[edge, second]
        self._file.seek(place)
        header, payload = msgpack.unpackb(self._file.read(size))
        return header, payload

    def close(self) -> None:
        """Give the file up."""
        self._file.close()


def name(edge: int) -> str:
    """An edge's name."""
    return f"fleet/{edge:04}"


def _series(edge: int) -> list[str]:
    labels = {"container": "trainer", "pod": f"train-{edge}", "namespace": "fleet"}
    return [
        SeriesKey(metric, f"GPU-fleet-{edge}-{gpu}", f"fleet-{edge}", gpu, f"nvidia{gpu}", "H100", labels).text()
        for gpu in range(GPUS)
        for metric in METRICS[: ROWS // GPUS]
    ]


def _batch(edge: int, second: int, readings: Readings) -> wire.Batch:
    start = second * BATCH_BYTES
    source = wire.Source(f"{edge:032x}", f"/telemetry/fleet-{edge}.csv", FINGERPRINT, "dcgm", None)
    identity = f"{edge:016x}{second:016x}"
    return wire.Batch(name(edge), identity, source, start, start + BATCH_BYTES, 2 + second * ROWS, 1, 1, readings)

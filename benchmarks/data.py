"""The data: files of a simulated fleet, and the same rows as arrays for those who need no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from telemetry.readings.dump import HEADER
from telemetry.simulate.simulation import Simulation
from telemetry.simulate.timeline import SECOND, Timeline

# About 2,000 series: 9 hosts of 8 GPUs, up to 28 metrics each. All that is measured falls on one day.
HOSTS, GPUS = 9, 8
# A node of 4 GPUs, scraped each second: about 100 rows a second, each of a series that was there a second ago.
NODE = {"hosts": 1, "gpus": 4, "interval_s": 1}
DAY_US = 1_752_796_800 * SECOND  # 2025-07-18
SERIES = ("metric_name", "uuid", "container", "pod", "namespace")


@dataclass(frozen=True, slots=True)
class File:
    """A CSV file and the rows in it, the header not counted."""

    path: Path
    rows: int


@dataclass(frozen=True, slots=True)
class Arrays:
    """Rows as columns, in the order of the file; `series` counts from 1."""

    series: NDArray[np.int64]
    ts_us: NDArray[np.int64]
    values: NDArray[np.float64]


def write(path: Path, rows: int, *, hour: float = 6, interval_s: int = 10, hosts: int = HOSTS, gpus: int = GPUS) -> File:
    """A file of so many rows, scraped from an hour of the day on. The same arguments make the same bytes."""
    simulation = Simulation(hosts, gpus, Timeline(DAY_US + round(hour * 3600) * SECOND, interval_s * SECOND), seed=0)
    left = rows
    with path.open("wb") as file:
        file.write(HEADER)
        for scrapes in simulation.steps(0, rows):
            for scrape in scrapes:
                lines = scrape.text.splitlines(keepends=True)[:left] if scrape.rows > left else [scrape.text]
                file.writelines(lines)
                left -= min(left, scrape.rows)
            if not left:
                break
    path.chmod(0o644)
    return File(path, rows)


def arrays(file: File) -> Arrays:
    """The rows of a file, read by Arrow alone."""
    wanted = csv.ConvertOptions(include_columns=["timestamp", "value", *SERIES], column_types={"value": pa.float64()})
    table = csv.read_csv(file.path, convert_options=wanted)
    codes = np.zeros(file.rows, np.int64)
    for name in SERIES:
        encoded = pc.dictionary_encode(table[name], null_encoding="encode").unify_dictionaries().combine_chunks()
        indices = encoded.chunk(0).indices if isinstance(encoded, pa.ChunkedArray) else encoded.indices
        # Numbered anew after each column, so that the product never overflows.
        codes = np.unique(codes * (indices.to_numpy().max() + 1) + indices.to_numpy(), return_inverse=True)[1]
    return Arrays(
        codes + 1, table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(), table["value"].to_numpy()
    )

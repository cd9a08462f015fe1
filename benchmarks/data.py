"""The data: files of a simulated fleet, and the same rows as arrays for those who need no file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
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
# What a log of nvidia-smi measures: from, to, and what it is divided by.
MEASURED = {
    "utilization.gpu [%]": (0, 101, 1),
    "utilization.memory [%]": (0, 101, 1),
    "memory.used [MiB]": (0, 143_771, 1),
    "memory.total [MiB]": (143_771, 143_772, 1),
    "temperature.gpu": (30, 80, 1),
    "temperature.memory": (30, 90, 1),
    "power.draw [W]": (7_000, 70_000, 100),
    "power.limit [W]": (70_000, 70_001, 100),
    "clocks.current.sm [MHz]": (345, 1_981, 1),
    "clocks.current.memory [MHz]": (3_201, 3_202, 1),
}
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


def write_log(path: Path, rows: int, *, hour: float) -> tuple[File, Arrays]:
    """A log of `nvidia-smi --query-gpu -l 1` on a node of 8 GPUs with so many readings, and the same readings as columns."""
    draw, width = np.random.default_rng(0), len(MEASURED)
    records = -(-rows // width)
    values = np.stack([draw.integers(low, high, records) / over for low, high, over in MEASURED.values()], axis=1)
    names = ", ".join(["timestamp", "index", "uuid", "name", *MEASURED])
    units = [name.partition("[")[2].removesuffix("]") for name in MEASURED]
    begin = DAY_US + round(hour * 3600) * SECOND
    ts_us = np.array([begin + n // GPUS * SECOND + n % GPUS * 1_000 for n in range(records)], np.int64)
    with path.open("w") as file:
        file.write(f"{names}\n")
        for n, row in enumerate(values.tolist()):
            moment = datetime.fromtimestamp(int(ts_us[n]) / SECOND, UTC).strftime("%Y/%m/%d %H:%M:%S")
            cells = [f"{value:.2f}" if unit == "W" else f"{value:.0f}" for value, unit in zip(row, units, strict=True)]
            measured = ", ".join(f"{cell} {unit}".rstrip() for cell, unit in zip(cells, units, strict=True))
            thousandths = int(ts_us[n]) // 1_000 % 1_000
            gpu = f"{n % GPUS}, GPU-0f3c1a52-6b7e-4d18-9a3c-2e5b7d9f1c0{n % GPUS}, NVIDIA H200"
            file.write(f"{moment}.{thousandths:03}, {gpu}, {measured}\n")
    path.chmod(0o644)
    series = (np.arange(records) % GPUS)[:, None] * width + np.arange(width) + 1
    return File(path, records * width), Arrays(series.ravel(), np.repeat(ts_us, width), values.ravel())


def arrays(file: File) -> Arrays:
    """The rows of a file, read by Arrow alone."""
    options = csv.ConvertOptions(include_columns=["timestamp", "value", *SERIES], column_types={"value": pa.float64()})
    table = csv.read_csv(file.path, convert_options=options)
    codes = np.zeros(file.rows, np.int64)
    for name in SERIES:
        encoded = pc.dictionary_encode(table[name], null_encoding="encode").unify_dictionaries().combine_chunks()
        indices = encoded.chunk(0).indices if isinstance(encoded, pa.ChunkedArray) else encoded.indices
        # Numbered anew after each column, so that the product never overflows.
        codes = np.unique(codes * (indices.to_numpy().max() + 1) + indices.to_numpy(), return_inverse=True)[1]
    return Arrays(
        codes + 1, table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(), table["value"].to_numpy()
    )

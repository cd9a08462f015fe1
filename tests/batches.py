"""Batches made for tests: a few readings as an edge would send them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from telemetry.readings import wire
from telemetry.readings.arrow_payload import QUARANTINE, READINGS
from telemetry.readings.digests import digest
from telemetry.readings.rows import QuarantinedRow, Readings
from telemetry.readings.series import SeriesKey

T0_US = 1_752_871_354_000_000


def key(metric: str = "DCGM_FI_DEV_GPU_UTIL", gpu: str = "GPU-1", **labels: str) -> str:
    """The text of a series."""
    return SeriesKey(metric, gpu, "host-1", 0, "nvidia0", "H100", labels).text()


def readings(*rows: tuple[str, int, float], quarantined: tuple[QuarantinedRow, ...] = ()) -> Readings:
    """Readings from (series text, seconds, value)."""
    series = list(dict.fromkeys(text for text, _, _ in rows))
    return Readings(
        series,
        np.array([series.index(text) for text, _, _ in rows], np.int64),
        np.array([T0_US + second * 1_000_000 for _, second, _ in rows], np.int64),
        np.array([value for _, _, value in rows], np.float64),
        0,
        list(quarantined),
        len(rows) + len(quarantined),
    )


def of_texts(*texts: str) -> wire.Batch:
    """A batch with a reading of each series."""
    return batch(replace(readings(*((text, 0, 1.0) for text in texts)), series=list(texts), codes=np.arange(len(texts))))


def batch(content: Readings, batch_id: str = "b1", **changes: Any) -> wire.Batch:
    """A batch with this content."""
    source = wire.Source("source-1", "/data/a.csv", "fingerprint-1", "dcgm", None)
    made = wire.Batch("test/node", batch_id, source, 0, 100, 2, T0_US, T0_US, content)
    return replace(made, **changes)


def now_s() -> int:
    """Now, in the seconds after T0 that `readings` counts in."""
    return int(datetime.now(UTC).timestamp()) - T0_US // 1_000_000


def of_before(content: Readings) -> tuple[dict[str, Any], bytes]:
    """A message of version 2, as its streamers made it."""
    series = pa.DictionaryArray.from_arrays(pa.array(content.codes, pa.int32()), pa.array(content.series, pa.string()))
    ts = pa.array(content.ts_us, pa.int64()).view(READINGS.field("ts").type)
    columns = [pa.array([getattr(row, field.name) for row in content.quarantined], field.type) for field in QUARANTINE]
    sink = pa.BufferOutputStream()
    for part in (
        pa.record_batch([series, ts, pa.array(content.values)], schema=READINGS),
        *([pa.record_batch(columns, schema=QUARANTINE)] if content.quarantined else []),
    ):
        with pa.ipc.new_stream(sink, part.schema) as stream:
            stream.write_batch(part)
    raw = sink.getvalue()
    payload = pa.compress(raw, "zstd", asbytes=True)
    header, _ = wire.encode(batch(content))
    return {**header, "version": 2, "size": raw.size, "digest": digest(payload)}, payload

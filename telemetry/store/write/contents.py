"""A number that stands for the readings of a batch: by it a second content under a known batch id is found out.

It is of the readings alone, as they are stored, in the order of their file: not of the message, whose bytes another version of
a library makes in another way.
"""

from __future__ import annotations

from hashlib import sha256

from telemetry.readings.arrays import Float64s, Int64s


def digest(series: Int64s, ts_us: Int64s, values: Float64s) -> int:
    """64 bits of the SHA-256 of some readings under the ids of their series, as a bigint of Postgres holds them."""
    content = sha256(series.tobytes())
    content.update(ts_us.tobytes())
    content.update(values.tobytes())
    return int.from_bytes(content.digest()[:8], "big", signed=True)

"""How the values of a series become arrays of plain SQL types, and back, bit for bit. Pure.

Most values are decimals with few digits. So they stand as whole numbers, cut into planes of 16 bits: a value is
`(low + 65536 * middle + 4294967296 * high) / divisor`. The divisor is a power of ten, and a plane that is null counts as 0.
Noise is in the low plane, so that the others compress well. Where that is not exact for every value, they stand as floats.
The tables are in `telemetry.store.models.sealed`, and what reads them in SQL in the database's functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telemetry.readings.arrays import Float64s, Int64s

DIVISORS = tuple(10.0**digits for digits in range(7))
# All whole numbers up to here are floats too.
EXACT = 2.0**53
PLANE_BITS = 16
# The columns of `sealed` with arrays, by the type of a number. The planes come in the order of their weight.
PLANES: Mapping[str, np.dtype[np.signedinteger]] = {
    "low": np.dtype(np.int16),
    "middle": np.dtype(np.int16),
    "high": np.dtype(np.int32),
}
COLUMNS: Mapping[str, np.dtype[np.generic]] = {**PLANES, "floats": np.dtype(np.float64)}


class Packed(NamedTuple):
    """The arrays of some values by their column, and the divisor."""

    arrays: Mapping[str, NDArray[np.generic]]
    divisor: float = 1.0


def pack(values: Float64s) -> Packed:
    """The smallest form of some values, at least one. `unpack` gives the same bits."""
    largest = np.abs(values).max()
    for divisor in DIVISORS:
        # Not so for NaN and for infinity.
        if not largest <= EXACT / divisor:
            break
        whole = np.rint(values * divisor).astype(np.int64)
        if (whole / divisor).tobytes() == values.tobytes():
            return Packed(_planes(whole), divisor)
    return Packed({"floats": values})


def unpack(packed: Packed) -> Float64s:
    """The values again."""
    arrays = packed.arrays
    if "floats" in arrays:
        return arrays["floats"].astype(np.float64)
    whole: Int64s = np.zeros(len(arrays["low"]), np.int64)
    for place, name in enumerate(PLANES):
        if name in arrays:
            whole += arrays[name].astype(np.int64) << (PLANE_BITS * place)
    values: Float64s = whole / packed.divisor
    return values


def _planes(whole: Int64s) -> dict[str, NDArray[np.generic]]:
    planes: dict[str, NDArray[np.generic]] = {}
    rest = whole
    for name, kind in PLANES.items():
        # Signed, so that small numbers of either sign need one plane.
        plane = rest.astype(kind)
        planes[name] = plane
        rest = (rest - plane) >> PLANE_BITS
        if not rest.any():
            break
    return planes

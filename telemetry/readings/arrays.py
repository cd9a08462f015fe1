"""Names of the array types: each a NumPy array of one dimension or more, by what an element is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Uint8s = NDArray[np.uint8]
Bools = NDArray[np.bool_]

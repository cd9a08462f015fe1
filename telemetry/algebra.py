"""Keeps NumPy's linear algebra on one thread.

OpenBLAS starts a thread for each core when NumPy is imported, in every process. Nothing here multiplies matrices, so the
threads would only take memory.
"""

from __future__ import annotations

import os


def use_one_thread() -> None:
    """Call this before NumPy is imported. A number that the environment sets already stays."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

"""GPU telemetry from CSV files at the edge to Postgres at the centre, every reading stored once.

`readings` says what a reading is, `streamer` publishes them, `collector` persists them, `store` is the database,
`api` answers queries, `cli` is the `telemetry` command.
"""

import os

# NumPy's algebra would start a thread a core in every process, and nothing here multiplies matrices.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"

"""GPU telemetry from CSV files at the edge to Postgres at the centre, every reading stored once.

`readings` says what a reading is, `streamer` publishes them, `collector` persists them, `store` is the database,
`api` answers queries, `cli` is the `telemetry` command.
"""

__version__ = "0.1.0"

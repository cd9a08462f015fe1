"""Side-by-side measurements of this pipeline and of what it is compared with: `make bench`, or `python -m benchmarks`.

`store` (`make bench-store`) measures how samples are kept for years, `python -m benchmarks.signatures` what signatures cost,
and `python -m benchmarks.replica` reads from a replica. `cases` holds one module for each thing that is measured, `peers` the
Celery applications that are measured beside ours. `sizes` says how much, `data` makes the files, `bench` has the servers and
gives each measurement a fresh database and an empty broker, `processes` starts and ends what runs beside, `report` makes the
tables. Everything is real: Postgres with fsync, Valkey with its append-only file, workers as the Procfile starts them. Nothing
here is part of the product.
"""

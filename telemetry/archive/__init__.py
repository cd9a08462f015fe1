"""The archive: sealed days as Parquet files in a directory or an object store, for ever, and back.

`runs` is what a day holds, in one order and with one digest, whether it comes from the database or from a file. `files` is the
Parquet file of a day, `places` where files are and how they come there whole, `manifests` what is said beside them. `writing`
writes days and verifies them, `checking` verifies them later, `returning` puts them back into a database. What is read of the
database is `telemetry.store.read.archivable`'s, what it knows of the archive `telemetry.store.upkeep.archived`'s.
Why the files are as they are: docs/decisions/0012-archive.md.
"""

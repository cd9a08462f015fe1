"""Compares CSV files with the database, row by row: a second pair of eyes on the pipeline.

It reads the files with code of its own (`re` over mapped bytes and the standard library), so that a fault of the
streamer's parser shows as a difference instead of hiding in both. Nothing here imports `telemetry.readings`, save the
catalogue of known metrics, nor `telemetry.streamer` or `telemetry.collector`. Both sides follow the grammar of
`docs/RECORDS.md`.

`layout` knows the header, `records` cuts bytes into rows, `timestamps`, `labels`, `values` and `meaning` say what a row
means, `files` gathers the rows of a file in columns, `queries` is the SQL, `matching` and `compare` put each row in its
class, `examples` shows some of the differences.
"""

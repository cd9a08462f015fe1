"""Compares CSV files with the database, reading by reading: a second pair of eyes on the pipeline.

It reads the files with code of its own (`re` over mapped bytes and the standard library), so that a fault of the streamer's
parser shows as a difference instead of hiding in both. Of `telemetry.readings` it imports the catalogue of known metrics, what
the fields of tools are called, and what operators say of sources; and nothing of `telemetry.formats`, `telemetry.streamer` or
`telemetry.collector`. Both sides follow the grammar of `docs/RECORDS.md`.

`formats` has the readers, one a format. `contents` has the bytes of files, packed ones too, `files` gathers in columns what
their rows say, `identity` tells which series these are in the database, `queries` is the SQL, `matching` and `compare` put
each reading in its class, `owners` compares who had the GPUs, `examples` shows some of the differences. `raw` counts lines
against rows, and uses none of this but `contents` and the types of `formats.grammar`.
"""

"""The readers of `verify`, one a format. They share no code with `telemetry.formats`, so that a fault of either shows.

`base` says what a reader is, `registry` lists them, `heads` finds the one that a header belongs to. A reader is a module:
`dcgm` reads the dump of a dcgm-exporter, `nvidia_smi` what `nvidia-smi --query-gpu` writes, `labelled` wide files
whose header names series, and `mapped` wide files by a mapping, with `mapped_times` and `mapped_numbers`.

They share the rest. `grammar` has the patterns of fields and records, `records` cuts a file into rows; `timestamps`, `values`
and `labels` read cells.
"""

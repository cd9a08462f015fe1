"""The readers of `verify`, one a format. They share no code with `telemetry.formats`, so that a fault of either shows.

`base` says what a reader is, `registry` lists them, `heads` finds the one that a header belongs to. A reader is a module:
`dcgm` reads the dump of a dcgm-exporter, `dcgm_fields` a dump of DCGM's fields, `dcgmi_dmon` its table. `nvidia_smi`,
`nvidia_apps` (of processes), `nvidia_dmon`, `nvidia_pmon`, `amd_smi`, `rocm_smi`, `xpu_smi`, `xpu_smi_query`, `hl_smi` and
`kempnerpulse` read what the tools of these names write, `fleetint` what an agent does, metrics and events, `slurm_jobs` what
Slurm says of jobs, `labelled` wide files whose header names series, and `mapped` wide files by a mapping, with `mapped_times`
and `mapped_numbers`.

They share the rest. `wide` is for rows with a column a metric, `stamped` for lines with a time before each, and `days` counts
midnights. `grammar` has the patterns of fields and records, `records` cuts a file into rows; `timestamps`, `wall_clock`,
`values` and `labels` read cells.
"""

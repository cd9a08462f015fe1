"""Formats of CSV files: how the bytes of a source become readings. No I/O, no clock, no settings of the process.

`base` says what a format is and when its version must be raised, `registry` lists the formats, `heads` finds the one that a
file's first bytes belong to, and `headers` those of headers among the records. `misses` says what a foreign file is instead,
and `blame` which cell of a record keeps it from being read.

A format is a module: `dcgm` is the dump of a dcgm-exporter, and `dcgm_series` is what names its series; `dcgm_fields` is a dump
of DCGM's fields, `dcgmi_dmon` its table. `nvidia_smi`, `nvidia_apps` (of processes), `nvidia_dmon`, `nvidia_pmon`, `amd_smi`,
`rocm_smi`, `xpu_smi`, `xpu_smi_query`, `hl_smi` and `kempnerpulse` are what the tools of these names write, `fleetint` and
`fleetint_events` what NVIDIA's Fleet Intelligence agent does, `slurm_jobs` what Slurm says of its jobs. `labelled` is a wide
file whose header names series. `mapped` is a wide file by a mapping, of which `mapped_columns` fits the header; `moments` and
`mapped_values` read its cells.

`suggest` looks at a file that no format knows, and suggests a mapping.

Formats share the rest. `wide` is for those with a column a metric, `stamped` for those with a time before each line, `smi`
and `smi_cells` for nvidia-smi and its like. `records` splits bytes into records, and `frames` does it faster where lines are
like others before; `days`, `timestamps`, `local_times`, `epochs`, `values`, `dcgm_values` and `labels` read cells;
`combinations` works out once what cells mean that come again, and `series_bound` how many series are too many; `slurm_nodes`
writes out lists of nodes; `rows` is what a format hands on, and makes of it the readings of a batch.
"""

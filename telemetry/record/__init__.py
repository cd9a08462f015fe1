"""Writes CSV files of a node's GPUs where no agent does: in the dcgm form, which a streamer reads.

`taken` is what was read of a GPU at one time, and its line. `nvml` reads the driver, `scrape` a Prometheus endpoint,
`nvidia_smi` and `amd_smi` the tools of these names, which are `looping`: each is a `tool` that runs on. `jobs` says which Slurm
job has which GPU. `pods` reads which pod has which, from the API of its cluster: `api_server` is that, `changes` keeps up with
it, `cluster_objects` is what is kept of its objects, and `holders` decides by them. `files` are the files, which are rotated
and bounded. `recording` does it at an interval.
Nothing is made up: what cannot be read is a gap. Of the rest of the project `telemetry.redaction` and modules of
`telemetry.readings` without arrays are used: with those of the formats a recording would need twice the memory.
"""

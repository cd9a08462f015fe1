"""Readings as they are asked for, from raw samples.

`readings` has those of one GPU, raw or in steps; `latest` the last one of each series; `fleet` one metric aggregated over many
GPUs. `selection` says which series and which time, `stored` joins series with their samples, in rows or sealed days,
`aggregates` says how many values become one, `mig` which of a GPU and its instances counts.
"""

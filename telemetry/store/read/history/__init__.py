"""Readings as they are asked for, from raw samples.

`readings` has those of one GPU, raw or in steps, and `raw` those of many; `latest` the last one of each series; `fleet`
values aggregated over many GPUs, which `chosen` chooses; `exposed` series and samples for Prometheus. `selection` says which
series and which time, `stored` joins series with their samples, in rows or sealed days, `aggregates` how many values become
one, `mig` which of a GPU and its instances counts.
"""

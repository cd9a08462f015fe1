"""What all formats and both ends of the broker agree on: a reading, a batch, a message. No I/O, no clock, no settings.

`rows` is what a batch holds, `series` what a series is called, `catalogue` the metrics we know. `digests` derives the names of
sources and batches from bytes, `extent` is a stretch of a source, `reported` are stretches that an edge has committed or lost.
`owners` are the labels that say who used a GPU. `wire` is the message between edge and centre, `payload` the part of it that
holds the readings, `arrow_payload` that of the versions before, `letters` what is kept of one that died. `names` are those of
tasks, queues and edges, `aggregates` those of aggregates, `arrays` those of the types of arrays. `source_settings` is what an
operator says of a file, and `mapping` what its columns mean. `nvidia_smi`, `dmon`, `hl_smi`, `xpu_smi`, `other_vendors`,
`kempnerpulse`, `fleetint`, `slurm` and `dcgm_fields` say what fields of tools are called here, `smi_fields` how some name
these, and `cells` what one cell says. `tellers` are the schedulers that tell of owners. `vocabulary` is what columns of
home-made files commonly are, and `units` how one unit becomes another. `mends` are words on the reasons of the quarantine.
`dump` has the columns of the dcgm form as we write it. `derived` are metrics that are made of others, and `rates` what GPUs
cost. `prometheus_labels` are the labels of series as dcgm-exporter has them, and `matchers` what Prometheus' selectors choose
by them.
"""

"""`telemetry exporter`: metrics that no single process can count, of queue, sources, ledger, database and GPUs.

`look` asks at an interval and keeps the answers, so that a scrape costs nothing and waits for nothing. `broker`, `database`,
`audits`, `clocks` and `gpus` define what is asked and under which names it is shown. `health` also judges the health of GPUs,
and tells people. `families` makes metrics of plain values.
"""

"""`telemetry exporter`: what no single process can count, as metrics: queue, sources, ledger, database, GPUs.

`look` asks at an interval and keeps the answers, so a scrape costs nothing and waits for nothing; `broker`, `database` and
`gpus` say what is asked and by which names it is shown; `families` makes metrics of plain values.
"""

"""Watches every process from inside: what it counts, what it logs, and whether it is alive.

`counters/` counts and `port/` shows the counts, with probes, for Prometheus and Kubernetes. `logs` gives log lines their form,
`outages` makes one line of all that is logged about a lost broker, `traces` makes spans where a setting asks for them,
`flower_page` has Flower list all queues. `rules/` are Prometheus' alerts and `boards/` Grafana's boards; neither is code
(`scripts/boards` writes the boards). What only the database and the broker know is `telemetry.exporter`'s.
"""

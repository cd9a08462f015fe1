"""Watches every process from inside: what is counted, what is logged, and whether it lives.

`metrics` names what is counted and `trail` counts it, one call a station of a batch's way. `shared` lets the children of a
worker count together, `folding` adds up what the dead among them counted, `latency` keeps the last minute, `connection` knows
whether the broker answers, `transactions` how the last one ended, `heartbeat` whether the loop turns. `server` shows all of
it on a port; `worker` and `beat` put it into Celery's processes. `watchdog` ends a worker that has stopped consuming. `logs`
gives log lines their form, `traces` makes spans where they are wanted. `rules/` are Prometheus' alerts, `dashboards` Grafana's
boards. What only the database and the broker know is `telemetry.exporter`'s.
"""

"""Counts what a process does, together with the children that it forks.

`definitions` declares the metrics, and `stations` counts them, one call a station of a batch's way. `shared` lets the children
of a worker count together; `merge_dead_children` adds up the counts of those that have died. `latency` keeps the latencies of
the last minute, `transactions` how the last transaction ended, `summary` puts what was counted into a line of the log. Showing
all of it is `telemetry.monitoring.port`'s.
"""

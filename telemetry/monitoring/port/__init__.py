"""The port of a process, and what puts it into Celery's processes.

`server` opens the port: `/metrics`, `/live` and `/ready`. `heartbeat` knows whether the loop of the process turns, `connection`
whether the broker answers. `worker` brings all of it into a worker, `beat` into beat: each scheduler tells it when it turns.
`watchdog` ends a worker that has stopped consuming, `aborted` gives one that ended by itself its exit code. `summary` logs a
line about what a collector has settled, `eviction` warns of a broker that drops keys.
"""

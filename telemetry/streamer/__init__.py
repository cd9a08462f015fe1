"""The edge's worker: finds sources, reads what is complete, publishes batches, keeps the window.

`window` decides (pure), `registry` remembers in Redis, `source` reads files, `modes` says what is read next, `outbox` what goes
out; `stream` joins them for one source, `opening` makes streams of files, `streamer` does a tick over all of them, `tasks` is
the Celery face. It knows `telemetry.readings` and no database.
"""

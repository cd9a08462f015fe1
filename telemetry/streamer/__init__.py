"""The edge's worker: finds sources, reads what is complete, publishes batches, keeps the window.

`window` decides (pure), `registry` remembers in Redis, `source` reads files, `stream` joins the three for one source,
`streamer` does a tick over all of them, `tasks` is the Celery face. It knows `telemetry.readings` and no database.
"""

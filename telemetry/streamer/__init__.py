"""The edge's worker: finds sources, reads what is complete, publishes batches, keeps the window.

`tasks` is the Celery face and `schedule` beat's. `tick` does one tick over all sources: `matching` finds files, `membership`
tells how many of them are this replica's, `machine` whether it may stream for the edge at all, `queue_watch` gathers the
evidence of losses. `held` has the files that are open: `adoption` makes streams of them, `orphans` finds sources whose file is
gone, of which several brokers may know (`orphan`), `deferred` holds paths left alone for a while, `resting` those whose file
was let go of until it changes; `followed` tells `ingest` what becomes of all. `begun` notes on disk which files are open,
`renamed` looks for them after a restart.

`stream` is one source: `source` reads its file through `contents`, which unpacks what `packing` knows, or `utf16`;
`whereabouts` tells whether a file is where it was, `writers` whether one may still be written to, `copied` whether one is a
longer copy of another. `first_state` is what is known of a source at first, `verified` knows whether the bytes that were read
are still there, `modes` choose what is read next, `holes` what of it waits, `batching` cuts batches out of it: in
`next_batches` those that come next, in `again` those that are lost on their way. With the processes of a `pool`, `shared` has
several `parts` of a large file read at a time. `outbox` and `publish` send them, `tally` counts. `kept` is what the broker
keeps of it, `proof` knows whether the database still holds it. `phase` is what a stream is at, `step` what it is given and
does at one time. `clock` is the machine's monotonic clock.

`dry_run` reads a file as all of this does, and publishes nothing. `trial` sends a marked batch without a file.

`arrival` brings the sources of an edge from another broker, before all of this.

What is remembered between ticks, and every decision about it, is in `telemetry.progress`. No database is known here.
"""

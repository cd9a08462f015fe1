"""What keeps the database small and quick: work that is done now and then, beside the batches.

`chores` lists the pieces of work and runs one of them under its lock: `ledger_folding`, `tally_folding`, `usage_hours`,
`joining` (of GPUs), `judging`, which finds out how the GPUs are by what `looks` reads, and keeps it as `findings`, and
`sealing`, which makes arrays of days that are over, with `merging`, which brings into them what came late, `hours`, which fills
in what a version before left out, and `months`, where they stand; `retention`, which drops old samples by the `units` of which
they consist, and `old_rows`, which drops what else is old, both by `ages`. When a chore is due is decided by who runs it:
`telemetry.collector.upkeep`. `dropping` is done by hand alone.
"""

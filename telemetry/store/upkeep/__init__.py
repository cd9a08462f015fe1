"""What keeps the database small and quick: work that is done now and then, beside the batches.

`chores` lists the pieces of work and runs one of them under its lock: `ledger_folding`, `tally_folding`, `usage_hours` and
`joining` (of GPUs). When a chore is due is decided by who runs it: `telemetry.collector.upkeep`.
"""

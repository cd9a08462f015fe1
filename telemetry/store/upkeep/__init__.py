"""What keeps the database small and quick: work that is done now and then, beside the batches.

`chores` lists the pieces of work and runs one of them under its lock: `ledger_folding` and `usage_hours`. When a chore is due
is decided by who runs it: `telemetry.collector.upkeep`.
"""

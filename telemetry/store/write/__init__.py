"""What a commit writes: `series_ids` (GPUs, metrics, series, sources), `ledger` (batches), `samples` (readings, by COPY)."""

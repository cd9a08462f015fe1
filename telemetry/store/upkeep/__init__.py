"""What keeps the database small: `ledger_folding` (old batches of the ledger become ranges)."""

"""What the collector writes while it stores a batch.

`series_ids`, `source_ids` and `use_ids` turn what a batch names into ids, in short transactions of their own. `ledger` enters
the batch, with the digest of its readings that `contents` makes, `samples` copies them, `conflicts` keeps those whose key has
another value, `allocations` says who had the GPUs, `unjudged` which of their readings came late; all five work in the
caller's transaction.
"""

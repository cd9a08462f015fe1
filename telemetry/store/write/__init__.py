"""What the collector writes while it stores a batch.

`series_ids`, `source_ids` and `use_ids` turn what a batch names into ids, in short transactions of their own; `stretches`
tells which rules of labels hold for which of its readings, `gpu_places` which GPU is meant by host and index. `ledger` enters
the batch, with the digest of its readings that `contents` makes, `samples` copies them, `late` compares and keeps those of
sealed days, `conflicts` keeps those whose key has another value, `tallies` counts them by the hour, `allocations` says who had
the GPUs, `spans` since when where a scheduler tells, `usage_marks` which hours are to be summed up, `unjudged` which of their
readings came late, `release` takes rows out of quarantine; all of these work in the caller's transaction. `returning` does
without a batch, for what comes back from an archive.
"""

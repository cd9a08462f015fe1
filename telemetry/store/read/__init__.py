"""Everything that is asked of the database. Nothing in this package changes a row.

A function here returns a statement. Its columns carry the names that readers see, and it has neither limit nor offset: the
caller executes, counts, pages or streams it. So do `inventory` (GPUs, hosts, metrics), `allocations` (who had a GPU when),
`usage` (how much was used), `health` (how GPUs and hosts are), `findings` (what was found of them), `events` (what happened),
`disputes` (where two tell of different owners), `names` (which names there are), `ingest` (edges, sources, batches, what could
not be stored), `uploads` (how far an upload is), and the package `history` (readings, raw and aggregated). The package `sealed`
has answers of `history` from the arrays of sealed days, as columns. They share `filters` (which rows), `places` (the rows that
come after a given one), `edges_of_gpus` (which edge told of a GPU) and `owned` (whose a GPU was at a time); `silence` tells
when a GPU was read last.

Thirteen modules take a connection and return what they found, because their answer is not the rows of one statement: `totals`
chooses each query by the result of the one before, `gaps` compares the ledger with what edges report, `rates` divides counts
by seconds for each edge, `clusters` for each cluster, `settled` tells what became of some batches, `held` up to where a source
is stored without a gap, `second_looks` counts what of a source waits for a person, `quarantined` has the rows that could not
be read, byte for byte, `same_names` GPUs that cannot be told apart by their names, `counted` compares how many samples there
are with how many were stored, `levels` tells in which forms samples stand, `retention` since when they are kept, `archivable`
has all of a sealed day for the archive, and `exporter` reads single numbers for Prometheus.
"""

"""The second checker: finds what the ledger or the samples no longer have although an edge let go of it, and has it read again.

`samples` compares how many samples there are with how many were stored. `rereading` sets sources back to what the ledger
holds. `healing` decides which sources to read again for samples that are gone. `gaps` finds bytes that are missing in the
ledger. It is run by the exporter; the SQL is the store's, and edges do what is asked of them as after a restore.
"""

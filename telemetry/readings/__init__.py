"""What a reading is: records in bytes, the CSV formats, identities, the wire message. No I/O, no clock, no settings.

`records` splits bytes, `dcgm` gives the fields of a record their meaning, `identity` names sources and batches,
`wire` is the message between edge and centre.
"""

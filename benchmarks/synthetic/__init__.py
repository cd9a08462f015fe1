"""Edges without files: hundreds in one process, each speaking the protocol of a real one, with readings of its own.

`envelope` makes messages for the queue out of a real one, `payloads` has the batches encoded beforehand, `line` is a bare
connection, `edge` one edge with its window; `fleet` keeps many of them in time and counts their lag.
"""

"""What the edges have done, in Redis: typed, declared once, and read by all who want to know it.

`keys` declares every key. `state` is what a streamer keeps of one source: `window` (its batches in flight: `flight`) and
`growth` (since when it is behind) are parts of it. `evidence` decides which flights are lost. `claims` is the streamer's side:
it takes sources and saves their states. `reading` is everybody's side, and changes nothing. `acks` is the collector's side.
`history` tells what a new generation of the database changes. `losses` records bytes that are gone, `signs` tells which edges
are silent, `machines` which machine streams for each, `rewind` sets a source back to what a restored database holds. Of
several brokers `everywhere` tells at which an edge streams, and `moving` brings its sources there.

Streamer, exporter, API and commands come here; nothing here knows them, nor a database, nor a format of files.
"""

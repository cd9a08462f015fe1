"""What every request needs, whatever it asks.

`parameters` are the types of query parameters, `queries` their sets and how they are read, `parameter_schemas` their
descriptions. `codes` lists what can go wrong, `problems` answers with it. `connections` leads to the database and the broker,
`lookups` finds what a path or a filter names, `nearest` the names that a wrong one may have meant, `probes` tells whether both
servers can be used, `shared` keeps what many ask for at once, `brokers` asks all brokers about the edges, `ingest_queue` hands
a message to the collectors. `deadlines` says how long anything may take, `silence_timeout` enforces it on a frozen database.
`request_log` gives each request an id and a line in the log.
"""

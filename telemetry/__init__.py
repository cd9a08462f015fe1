"""GPU telemetry from CSV files at the edge to Postgres at the centre, every reading stored once.

The rooms, in the order of imports: a room uses only rooms that stand below it (setup.cfg, `importlinter`).

`cli` is the `telemetry` command, a module a subcommand.
`client` asks the API from Python; of the other rooms it uses `readings.aggregates` and `lengths` alone.

`local` runs the whole system on one machine: `telemetry up`.
`deploy` installs the chart in one cluster or many; of the other rooms it uses none.
`doctor` asks whether this machine can work with broker and database, and says how to mend what cannot.
`exporter` shows metrics that no single process can count: queue, sources, ledger, database.

`api` answers queries over HTTP.
`archive` keeps sealed days as Parquet files for ever, and brings them back.
`audit` finds what the centre has lost of what it held, and has it read again.
`collector` takes batches from the queue, stores them, and acknowledges them.
`notify` tells people of GPUs that are ill.
`streamer` reads files at an edge, cuts batches, and publishes them until they are acknowledged.
`verify` compares files with the database, with readers of its own.
`simulate` makes up the telemetry of a fleet.
`record` writes CSV files of this machine's GPUs.

`celery` is the application of workers and beat.

`trust` says who is believed, and what each may do at the broker.

`store` is the database: models, and all SQL.
`progress` is what edges have done, as Redis keeps it: keys, states of sources, windows, acknowledgements.
`monitoring` counts, logs and traces what a process does, and opens its port.
`formats` reads CSV files, a module a format.

`broker` connects to Redis.
`settings` reads the environment, once.
`health` has the rules that the health of GPUs is judged by.
`readings` says what a reading is, and what a message holds.

`algebra` keeps NumPy to one thread.
`descriptors` knows the limit of open files.
`durable` brings files to the disk.
`garbage` keeps the garbage collector from objects that stay.
`lengths` reads and writes lengths of time.
`lock` locks a directory.
`redaction` removes passwords from texts.
`resources` finds the files that a running system reads.
`transport` is kombu's Redis transport, changed for many small messages.

`fetched` makes messages of the bytes on a queue.
`failover` leaves a Redis server that has become a replica.
`unacked` notes in Redis what a worker has fetched and not acknowledged.
`forks` closes connections to Redis in the children of a process.
`sentinels` asks Redis' sentinels which server is the primary.
"""

__version__ = "0.1.0"

"""The whole system on one machine, as `telemetry up` runs it.

Order of a start: the embedded servers first (PostgreSQL, then Valkey, unless the environment names others), then the schema of
the database, then the processes in the order of their lines in the Procfile. A stop goes the other way: first the processes,
in the stages that `start_order` names, then the servers.

`environment` makes the environment that all processes share and says which servers are needed. `ports` chooses where processes
listen. `servers/` are PostgreSQL and Valkey. `secure` gives each process its user of the broker, and `certificates` makes those
by which it is reached. `preparation` upgrades the schema and tries the broker. `scraping` writes a configuration for
Prometheus. `announcement` lets other commands find what runs. `start_order` says which processes there are, `supervisor` starts
and stops them, and `lifeline` ends them when their parent is killed. `log_files` keeps what they write; `log_lines` says what
of it is worth showing, and `screen` shows it. `watch` keeps processes and servers running, and `silence` notices servers that
do not answer. `welcome` tells the user where everything is, `keyboard` hears Enter, and `interrupts` turns Ctrl-C into an
orderly end.
"""

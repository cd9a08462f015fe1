"""Sets the users of a broker: makes them, ends them with their connections, and lets the server keep them over a restart."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import redis

from telemetry.trust.rights import User

# A server keeps users in a file of users, or in its configuration; without either they are gone when it restarts.
KEEPING = (("ACL", "SAVE"), ("CONFIG", "REWRITE"))


def _tell(client: redis.Redis, *words: str) -> None:
    client.execute_command(*words)  # type: ignore[no-untyped-call]


def write(client: redis.Redis, user: User, passwords: Iterable[str]) -> None:
    """Make a user, or give it other passwords and rights. Connections that it has stay open. Raises RedisError."""
    _tell(client, "ACL", "SETUSER", *user.setting(passwords))


def remove(client: redis.Redis, name: str) -> None:
    """Remove a user; the server closes its connections. Raises RedisError."""
    _tell(client, "ACL", "DELUSER", name)


def disconnect(client: redis.Redis, name: str) -> None:
    """Close the connections of a user, which may come back. Raises RedisError."""
    _tell(client, "CLIENT", "KILL", "USER", name)


def keep(client: redis.Redis) -> bool:
    """Let the server keep its users over a restart. False if it has no place for that."""
    for command in KEEPING:
        with suppress(redis.ResponseError):
            _tell(client, *command)
            return True
    return False

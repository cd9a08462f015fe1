"""A site as `telemetry up --secure` makes one: users of the broker with their own rights, TLS before it, signed batches.

Owns which process of a site is given which credentials, and the one user that faults break the broker by.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from telemetry.local.secure import Secure
from telemetry.local.servers import Valkey
from telemetry.local.servers.tls_front import TlsFront
from telemetry.settings import Settings

# All edges of a site have names of this cluster.
HOLDER = "fault"
# Who breaks the broker may do all there: no process of the system is this user.
BREAKER = "breaker"
PASSWORD = "breaker"  # noqa: S105
# Of these two give the broker's place to a server without users, and one forges what is not believed then.
NOT_SECURED = {"fail_over_broker", "promote_a_lagging_broker", "forge_acks"}
ROLES = ("collector", "exporter", "api", "flower")


def is_asked_for() -> bool:
    """Whether all that tests start is to be secured: `pytest --secure`."""
    return os.environ.get("SECURE_SITES") == "1"


def ask() -> None:
    """From now on what this process and its children start is secured."""
    os.environ["SECURE_SITES"] = "1"


def for_breaker(url: str) -> str:
    """The URL of the broker's socket for a client that may do all there."""
    return url.replace("://", f"://{BREAKER}:{PASSWORD}@", 1)


@dataclass(frozen=True)
class Secured:
    """The credentials of a site."""

    secure: Secure

    @classmethod
    def of(cls, directory: Path) -> Secured:
        """Those of a new site, with the broker's file of users."""
        made = cls(Secure.of(directory, replace(Settings.load({}), edge=HOLDER)))
        made.secure.write_users()
        with made.secure.users_file.open("a") as users:
            users.write(f"user {BREAKER} on >{PASSWORD} ~* &* +@all\n")
        return made

    @property
    def options(self) -> dict[str, str]:
        """The options of the broker."""
        return {"aclfile": str(self.secure.users_file)}

    def front(self, directory: Path, valkey: Valkey) -> TlsFront:
        """What stands before the broker, to be started after it."""
        return TlsFront(directory, valkey, self.secure.certificates)

    def of_process(self, name: str) -> Mapping[str, str]:
        """The variables of a process of a site, which is named by its role, or is one of an edge."""
        role = name if name in ROLES else "streamer"
        return {**self.secure.of_all, **self.secure.of_process(role)}

    def of_commands(self) -> Mapping[str, str]:
        """The variables of a command that a person runs."""
        return {**self.secure.of_all, **self.secure.of_commands()}

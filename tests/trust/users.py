"""Users of a test's broker: what `telemetry.trust.rights` says they may do, set at a real server and removed after the test."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import redis

from telemetry.trust import rights, server

PASSWORD = "a-password"  # noqa: S105 - of a test


@dataclass(frozen=True)
class Users:
    """Makes users with the client of one who may."""

    client: redis.Redis
    url: str
    prefix: str

    def edge(self, holder: str) -> str:
        """The broker's URL for the edges of a holder."""
        return self._made(rights.of_edge(self.prefix, holder))

    def role(self, role: rights.Role) -> str:
        """The broker's URL for a role of the centre."""
        return self._made(rights.of_role(self.prefix, role))

    def remove(self) -> None:
        """Remove all of them."""
        for name in map(str, self.client.acl_users()):
            if name.startswith(self.prefix):
                self.client.acl_deluser(name)

    def _made(self, user: rights.User) -> str:
        server.write(self.client, user, [PASSWORD])
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{quote(user.name, safe='')}:{PASSWORD}@{rest}"

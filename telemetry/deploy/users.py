"""The credentials that a deployment hands out: to each edge cluster its own, and to each part of the centre. Pure.

All are made of the centre's secret, as `telemetry edge add` makes them. What is kept is that secret, and the numbers of those
that are valid: two of an edge while they are rotated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from telemetry.readings.names import UPLOADS
from telemetry.trust import rights
from telemetry.trust.credentials import CENTRE, Maker

Serials = Mapping[str, tuple[int, ...]]
SIGNING_KEY, EDGE_PASSWORD = "signing-key", "redis-password"


@dataclass(frozen=True, slots=True)
class Users:
    """The broker's users. `ours` says that the broker is the deployment's own, which gets them as a file."""

    prefix: str
    secret: str = field(repr=False)
    serials: Serials
    ours: bool
    # The certificate that we made for our own broker, by the names of a Secret's keys; empty for none.
    certificate: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Whether it was made in this run: a Secret has another one, or none.
    has_new_certificate: bool = False

    @property
    def ca(self) -> str:
        """What the certificate of our own broker is checked with; "" where it has none of ours."""
        return self.certificate.get("ca.crt", "")

    @property
    def maker(self) -> Maker:
        """What makes the credentials."""
        return Maker(self.secret, self.prefix)

    def with_edges(self, names: Iterable[str]) -> Users:
        """The same with credentials for edges that have none."""
        return replace(self, serials={**dict.fromkeys(names, (1,)), **self.serials})

    def begun(self, names: Iterable[str]) -> Users:
        """The same with new credentials beside the old ones; who has two has them from a rotation that was cut off."""
        added = {name: (*self.serials[name], self.serials[name][-1] + 1) for name in names if len(self.serials[name]) == 1}
        return replace(self, serials={**self.serials, **added})

    def finished(self, names: Iterable[str]) -> Users:
        """The same with the newest credentials alone."""
        return replace(self, serials={**self.serials, **{name: self.serials[name][-1:] for name in names}})

    def file(self) -> str:
        """The file of users of the broker: it holds digests, and no password."""
        users = self.maker.users({**self.serials, UPLOADS: (CENTRE,)})
        return "".join(f"{user.line(passwords)}\n" for user, passwords in users)

    def of_centre(self) -> dict[str, str]:
        """The password of each part of the centre."""
        return {role: self.maker.password(role) for role in rights.ROLES} | {"uploads": self.maker.password(UPLOADS)}

    def of_edge(self, name: str) -> dict[str, str]:
        """The newest password and signing key of an edge cluster."""
        serial = self.serials[name][-1]
        return {EDGE_PASSWORD: self.maker.password(name, serial), SIGNING_KEY: self.maker.key(name, serial).text}

    def declared(self) -> list[str]:
        """What is valid, as `telemetry edge declare` takes it."""
        return [f"{name}={','.join(map(str, numbers))}" for name, numbers in sorted(self.serials.items())]

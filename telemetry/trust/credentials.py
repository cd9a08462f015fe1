"""Credentials, made of one secret that only the centre has: a broker's password and a signing key, by their name and number.

Nothing of them is kept: who has the secret can make them again, and the database only says which numbers are valid. So a
stolen database opens nothing, and the broker's users can be written again after a loss. Each of a holder's credentials has a
number, from 1; two are valid while they are rotated. What the centre signs for itself has the number 0.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from telemetry.trust import holders, rights

CENTRE = 0


class SigningKey(NamedTuple):
    """The key of a holder by which its edges sign. Its text is what `telemetry edge add` prints."""

    holder: str
    serial: int
    secret: bytes

    @property
    def text(self) -> str:
        """The form in which it is given to an edge."""
        return f"{self.holder}:{self.serial}:{self.secret.hex()}"

    def __repr__(self) -> str:
        """Without the secret: it may come into a log."""
        return f"SigningKey({self.holder!r}, {self.serial})"


def parse_key(text: str) -> SigningKey:
    """The key of a text that has the form of one. Raises ValueError, which does not show it."""
    holder, serial, secret = text.split(":")
    return SigningKey(holders.parse(holder), int(serial), bytes.fromhex(secret))


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes credentials of the centre's secret."""

    secret: str = field(repr=False)
    prefix: str

    def password(self, name: str, serial: int = CENTRE) -> str:
        """The broker's password of a role or a holder."""
        return base64.urlsafe_b64encode(self._derived("broker", name, serial)).decode().rstrip("=")

    def users(self, valid: Mapping[str, Sequence[int]]) -> Iterator[tuple[rights.User, list[str]]]:
        """The users of all roles and of the holders of valid credentials, each with its passwords."""
        for role in rights.ROLES:
            yield rights.of_role(self.prefix, role), [self.password(role)]
        for holder, serials in valid.items():
            yield rights.of_edge(self.prefix, holder), [self.password(holder, serial) for serial in serials]

    def key(self, holder: str, serial: int = CENTRE) -> SigningKey:
        """The signing key of a holder."""
        return SigningKey(holder, serial, self._derived("signature", holder, serial))

    def environment(self, holder: str, serial: int) -> Mapping[str, str]:
        """The settings by which the edges of a holder use their credentials."""
        return {
            "TELEMETRY_BROKER_USERNAME": rights.edge_name(self.prefix, holder),
            "TELEMETRY_BROKER_PASSWORD": self.password(holder, serial),
            "TELEMETRY_SIGNING_KEY": self.key(holder, serial).text,
        }

    def of_role(self, role: rights.Role) -> Mapping[str, str]:
        """The settings by which a process of the centre uses its user."""
        return {
            "TELEMETRY_BROKER_USERNAME": rights.role_name(self.prefix, role),
            "TELEMETRY_BROKER_PASSWORD": self.password(role),
        }

    def _derived(self, use: str, name: str, serial: int) -> bytes:
        # No part holds a NUL, so no two lists of parts give the same bytes.
        return hmac.digest(self.secret.encode(), "\0".join((use, self.prefix, name, str(serial))).encode(), "sha256")

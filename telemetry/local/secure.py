"""`telemetry up --secure`: each process has a user of the embedded broker with its own rights, and batches are signed.

Owns the centre's secret in the data directory, the broker's file of users, and which process is given what. Passwords and keys
are handed over as files that only their owner may read, so no list of processes and no environment shows them. Edges that
`telemetry edge` has made stay in the file of users. What users may do is `telemetry.trust.rights`'s. The broker is reached by
TLS alone, with the `certificates` of the data directory, which both sides check. The embedded database is reached by a socket
that no other user of the machine can open.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from telemetry.local.certificates import Certificates
from telemetry.readings.names import UPLOADS
from telemetry.settings import PREFIX, Settings, SettingsError
from telemetry.trust import rights
from telemetry.trust.credentials import CENTRE, Maker

# Who has no name may ask whether the server answers, and nothing else.
NOBODY = "user default on nopass resetkeys resetchannels -@all +ping"
# The processes of the Procfile that are not named as their role.
STREAMING = ("beat", "streamer")


@dataclass(frozen=True, slots=True)
class Secure:
    """The credentials of one data directory. `edge` is that of the streamer."""

    directory: Path
    maker: Maker
    edge: str
    certificates: Certificates

    @classmethod
    def of(cls, data_dir: Path, settings: Settings) -> Secure:
        """Those of a data directory; its secret and its authority are made at the first start. Raises SettingsError."""
        directory = data_dir / "trust"
        directory.mkdir(mode=0o700, exist_ok=True)
        secret = settings.trust_secret
        path = directory / "secret"
        if secret is None:
            secret = path.read_text(encoding="utf-8") if path.exists() else secrets.token_hex(32)
        _write(path, secret)
        return cls(directory, Maker(secret, settings.key_prefix), settings.edge, Certificates.made(data_dir / "certificates"))

    @property
    def users_file(self) -> Path:
        """The broker's file of users."""
        return self.directory / "users.acl"

    def write_users(self) -> None:
        """Write the users of our processes into the file of users; those of other edges stay as they are."""
        edges = {edge: [CENTRE] for edge in (self.edge, UPLOADS)}
        lines = {user.name: user.line(passwords) for user, passwords in self.maker.users(edges)} | {"default": NOBODY}
        old = self.users_file.read_text(encoding="utf-8").splitlines() if self.users_file.exists() else []
        others = [line for line in old if (words := line.split())[1:] and words[1] not in lines]
        _write(self.users_file, "\n".join([*lines.values(), *others]) + "\n")

    def of_process(self, name: str) -> Mapping[str, str]:
        """The variables of a process of the Procfile."""
        if name in STREAMING:
            return self._of_edge(self.edge)
        if name == "uploads":
            return self._of_edge(UPLOADS)
        role: rights.Role = next((role for role in rights.ROLES if role == name), "operator")
        user = self._user(rights.role_name(self.maker.prefix, role), role)
        return {**user, **self._secret()} if role == "collector" else user

    @property
    def of_all(self) -> Mapping[str, str]:
        """The variables that all processes share: what the broker's certificate is checked with, and what it is shown."""
        client = self.certificates.client
        files = {"CA": self.certificates.authority, "CERT": client.certificate, "KEY": client.key}
        return {f"{PREFIX}BROKER_{name}": str(path) for name, path in files.items()} | {f"{PREFIX}BROKER_SKIP_VERIFY": "false"}

    def of_commands(self) -> Mapping[str, str]:
        """The variables of the commands that find this system through its data directory."""
        return {**self.of_process("operator"), **self._secret()}

    def _of_edge(self, edge: str) -> dict[str, str]:
        key = self._file(f"{edge}.key", self.maker.key(edge, CENTRE).text)
        return self._user(rights.edge_name(self.maker.prefix, edge), edge) | {f"{PREFIX}SIGNING_KEY_FILE": key}

    def _user(self, user: str, name: str) -> dict[str, str]:
        password = self._file(f"{name}.password", self.maker.password(name))
        return {f"{PREFIX}BROKER_USERNAME": user, f"{PREFIX}BROKER_PASSWORD_FILE": password}

    def _secret(self) -> dict[str, str]:
        return {f"{PREFIX}TRUST_SECRET_FILE": str(self.directory / "secret"), f"{PREFIX}SIGNATURES": "required"}

    def _file(self, name: str, text: str) -> str:
        path = self.directory / name.replace("/", "@")
        _write(path, text)
        return str(path)


def check_database(url: str) -> None:
    """Refuse the URL of a database that another machine could stand in for. Raises SettingsError."""
    parts = make_url(url)
    named = parts.query.get("host", "")
    hosts = [parts.host or "", *(named.split(",") if isinstance(named, str) else named)]
    if any(host and not host.startswith("/") for host in hosts) and parts.query.get("sslmode") != "verify-full":
        raise SettingsError(f"--secure checks the database's certificate: add sslmode=verify-full to {PREFIX}DATABASE_URL")


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one piece."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)

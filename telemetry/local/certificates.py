"""An authority of one data directory, and what it signs: a certificate of the broker's front, and one that its clients show.

The authority is made at the first start and stays; the certificates are made anew at each start, so that none runs out. The
program `openssl` makes them, as Python's own library cannot. Keys are files that only their owner may read.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from telemetry.local.ports import HOST
from telemetry.settings import SettingsError

DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
# As requests and authorities of openssl are set up; a system's own file may be missing, or say something else.
CONFIGURATION = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = telemetry up
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:{host},DNS:localhost
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a directory: the authority's certificate, and the pairs of the front and of its clients."""

    authority: Path
    server: Pair
    client: Pair

    @classmethod
    def made(cls, directory: Path) -> Certificates:
        """Those of a directory, made where they are missing. Raises SettingsError where `openssl` cannot make them."""
        directory.mkdir(mode=0o700, exist_ok=True)
        configuration = directory / "openssl.cnf"
        configuration.write_text(CONFIGURATION.format(host=HOST), encoding="utf-8")
        authority = _pair(directory, "ca")
        if not (authority.certificate.exists() and authority.key.exists()):
            new = ("req", "-x509", "-new", *NEW_KEY, "-sha256", "-days", DAYS, "-extensions", "authority")
            _openssl(*new, "-config", configuration, "-keyout", authority.key, "-out", authority.certificate)
        pairs = [_signed(directory, name, authority, configuration) for name in ("server", "client")]
        return cls(authority.certificate, *pairs)


def _signed(directory: Path, name: str, authority: Pair, configuration: Path) -> Pair:
    pair, request = _pair(directory, name), directory / f"{name}.csr"
    _openssl("req", "-new", *NEW_KEY, "-config", configuration, "-keyout", pair.key, "-out", request)
    signing = ("-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial", "-sha256", "-days", DAYS)
    extensions = ("-extfile", configuration, "-extensions", name)
    _openssl("x509", "-req", "-in", request, *signing, *extensions, "-out", pair.certificate)
    return pair


def _pair(directory: Path, name: str) -> Pair:
    return Pair(directory / f"{name}.crt", directory / f"{name}.key")


def _openssl(*words: str | Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            ["openssl", *words],  # noqa: S607 - where it lies differs between systems
            capture_output=True,
            text=True,
            check=False,
            umask=0o077,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
    except FileNotFoundError:
        raise SettingsError("--secure needs the program openssl for the broker's certificates; install it") from None
    if done.returncode:
        raise SettingsError(f"openssl {words[0]} cannot make a certificate for --secure: {' '.join(done.stderr.split())}")

"""The certificate of the broker that a deployment brings, and the authority that other clusters check it with.

The program `openssl` makes them, as Python's own library cannot. The authority's key is thrown away: it signs one certificate.
"""

from __future__ import annotations

import ipaddress
import subprocess
import tempfile
from pathlib import Path

DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS)
NAMES = CA, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"


class CertificateError(Exception):
    """A certificate that cannot be made; the text says why."""


def made(host: str) -> dict[str, str]:
    """A certificate for a host, with its key and its authority, in PEM by the names of a Secret's keys."""
    with tempfile.TemporaryDirectory(prefix="telemetry-deploy-") as folder:
        authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        _openssl(folder, *NEW_KEY, "-subj", "/CN=telemetry deploy", "-keyout", "ca.key", "-out", CA, *authority)
        server = ("-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth")
        named = ("-subj", "/CN=telemetry broker", "-addext", f"subjectAltName={_alternative(host)}")
        _openssl(folder, *NEW_KEY, *named, "-keyout", KEY, "-out", CERTIFICATE, "-CA", CA, "-CAkey", "ca.key", *server)
        return {name: Path(folder, name).read_text(encoding="utf-8") for name in NAMES}


def covers(certificate: str, host: str) -> bool:
    """Whether a certificate is one for a host. A text that is no certificate is for none."""
    kind, _, name = _alternative(host).partition(":")
    return (
        "does match certificate" in _run(["x509", "-noout", "-checkip" if kind == "IP" else "-checkhost", name], certificate)[1]
    )


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host.strip('[]'))}"
    except ValueError:
        return f"DNS:{host}"


def _openssl(folder: str, *words: str) -> None:
    code, said = _run(["req", "-x509", *words], folder=folder)
    if code:
        raise CertificateError(f"openssl makes no certificate: {' '.join(said.split())}")


def _run(words: list[str], given: str = "", folder: str | None = None) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - arguments without a shell
            ["openssl", *words],  # noqa: S607 - where it lies differs between systems
            input=given,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        mend = "install it, or make a certificate and give --redis-ca"
        raise CertificateError(f"there is no program openssl for the Redis' certificate: {mend}") from None
    return done.returncode, done.stdout + done.stderr

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


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host.strip('[]'))}"
    except ValueError:
        return f"DNS:{host}"


def _openssl(folder: str, *words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - arguments without a shell
            ["openssl", "req", "-x509", *words],  # noqa: S607 - where it lies differs between systems
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        mend = "install it, or make a certificate and give --redis-ca"
        raise CertificateError(f"there is no program openssl for the Redis' certificate: {mend}") from None
    if done.returncode:
        raise CertificateError(f"openssl makes no certificate: {' '.join(done.stderr.split())}")

"""Certificates as a test wants them, made by `openssl`, and a port that shows one to whoever connects."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from telemetry.doctor.certificates import SSL_REQUEST

NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


# Only `openssl ca` makes certificates with dates of the past.
CONFIGURATION = """\
[ca]
default_ca = own
[own]
database = {directory}/index.txt
unique_subject = no
new_certs_dir = {directory}
rand_serial = yes
certificate = {directory}/ca.crt
private_key = {directory}/ca.key
default_md = sha256
policy = any
[any]
commonName = supplied
"""


@dataclass(frozen=True)
class Authority:
    """A CA of a test, in a directory of its own."""

    directory: Path
    name: str = "a CA of a test"

    @property
    def file(self) -> Path:
        return self.directory / "ca.crt"

    def make(self) -> Authority:
        self.directory.mkdir(exist_ok=True)
        run(*NEW, "-days", "90", "-subj", f"/CN={self.name}", "-keyout", self.directory / "ca.key", "-out", self.file)
        return self

    def sign(self, host: str, *, days: int = 90) -> tuple[Path, Path]:
        """A certificate for a host, and its key. Days below 0 lie behind."""
        certificate, key, request, extensions = (self.directory / f"{host}{days}.{end}" for end in ("crt", "key", "csr", "ext"))
        extensions.write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=critical,CA:FALSE\n")
        run(*("openssl", "req", "-new", *NEW[3:], "-subj", f"/CN={host}", "-keyout", key, "-out", request))
        (self.directory / "index.txt").touch()
        (self.directory / "ca.cnf").write_text(CONFIGURATION.format(directory=self.directory))
        begins = datetime.now(UTC) - timedelta(days=60)
        dates = (
            "-startdate",
            f"{begins:%Y%m%d%H%M%SZ}",
            "-enddate",
            f"{datetime.now(UTC) + timedelta(days=days, hours=1):%Y%m%d%H%M%SZ}",
        )
        signed = ("openssl", "ca", "-batch", "-notext", "-config", self.directory / "ca.cnf", "-in", request)
        run(*signed, "-extfile", extensions, *dates, "-out", certificate)
        return certificate, key


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def shown(certificate: Path, key: Path, *, as_postgres: bool = False) -> Iterator[int]:
    """A port of 127.0.0.1 and localhost that shakes hands and ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=[server, context, as_postgres], daemon=True)
        thread.start()
        yield server.getsockname()[1]
        # A thread in `accept` does not notice that its socket is closed.
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _serve(server: socket.socket, context: ssl.SSLContext, as_postgres: bool) -> None:
    while True:
        try:
            plain, _ = server.accept()
        except OSError:
            return
        with plain, suppress(OSError):
            if as_postgres:
                assert plain.recv(8) == SSL_REQUEST
                plain.sendall(b"S")
            with context.wrap_socket(plain, server_side=True) as wrapped:
                wrapped.recv(1)

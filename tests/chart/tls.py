"""A broker with TLS, a user and a password: the embedded one, which has no TLS, behind a port that has."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from telemetry.local.servers import Valkey
from tests.ports import free_port

USER, PASSWORD = "app", "p@ss/w:rd#1"


def certificates(directory: Path) -> tuple[Path, Path, Path]:
    """A CA of our own, and a certificate for localhost with its key."""
    ca, key, certificate = (directory / name for name in ("ca.crt", "tls.key", "tls.crt"))
    new: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    ca_key = directory / "ca.key"
    extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    for command in (
        [*new, "-subj", "/CN=a CA of a test", "-keyout", ca_key, "-out", ca, "-addext", "keyUsage=critical,keyCertSign"],
        [*new, "-subj", "/CN=localhost", "-keyout", key, "-out", certificate, "-CA", ca, "-CAkey", ca_key, *extensions],
    ):
        subprocess.run(command, check=True, capture_output=True)
    return ca, key, certificate


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def terminated(socket: str, key: Path, certificate: Path) -> Iterator[int]:
    """A port of loopback whose TLS connections end at a Unix socket."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop, port = asyncio.new_event_loop(), free_port()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(socket)
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    async def end(server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    # In a thread: that of the test may run the loop of a browser.
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "localhost", port, ssl=context), loop).result(10)
        yield port
        asyncio.run_coroutine_threadsafe(end(server), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def broker(directory: Path) -> Iterator[tuple[int, str]]:
    """The broker: its port on localhost, and the CA that its certificate is checked against."""
    ca, key, certificate = certificates(directory)
    with Valkey(directory / "valkey") as valkey:
        socket = valkey.url.removeprefix("redis+socket://").partition("?")[0]
        with redis.Redis(unix_socket_path=socket) as client:
            client.acl_setuser(USER, enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], channels=["*"], categories=["+@all"])
        with terminated(socket, key, certificate) as port:
            yield port, ca.read_text()

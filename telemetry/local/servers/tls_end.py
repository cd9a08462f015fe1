"""The process in which TLS ends: a port of this machine, behind which each connection goes on to a Unix socket.

`tls_front` starts it. Whoever connects must show a certificate of the same authority. It knows nothing of the protocol inside.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from functools import partial

PIECE_BYTES = 1 << 16
# A client that does not finish its handshake is let go.
HANDSHAKE_S = 10.0


async def pump(reader: StreamReader, writer: StreamWriter) -> None:
    """Hand on what comes, until one side ends; then end the other."""
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def connect(socket: str, reader: StreamReader, writer: StreamWriter) -> None:
    """Join a connection to one of the socket. It ends if nobody listens there: its client tries again."""
    try:
        inner_reader, inner_writer = await asyncio.open_unix_connection(socket)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def serve(host: str, port: int, socket: str, authority: str, certificate: str, key: str) -> None:
    """Listen until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    joined = partial(connect, socket)
    server = await asyncio.start_server(joined, host, port, ssl=context, ssl_handshake_timeout=HANDSHAKE_S)
    await server.serve_forever()


if __name__ == "__main__":
    given_host, given_port, *names = sys.argv[1:]
    asyncio.run(serve(given_host, int(given_port), *names))

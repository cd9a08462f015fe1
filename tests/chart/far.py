"""A link between two clusters: a relay of TCP with a delay on each way, chunks that were lost and sent again, and a cut.

The kernels that this is run on have no `netem`. So loss is what an application sees of it: now and then a chunk, and all that
comes after it on its connection, is late by a retransmission timeout.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from typing import Self

CHUNK_BYTES = 1 << 14
# Of TCP on Linux: the least, and what a round trip adds to it.
RETRANSMISSION_S = 0.2


class FarLink:
    """Listens on an address and leads to another, as far away as said, while it is entered."""

    def __init__(self, listen: tuple[str, int], to: tuple[str, int], *, round_trip_s: float, loss: float) -> None:
        self._listen, self._to, self._way_s, self._loss = listen, to, round_trip_s / 2, loss
        self._is_cut = False
        self._healed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._loop.run_until_complete(asyncio.start_server(self._serve, *self._listen))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """Go silent: bytes are taken and lead nowhere, as on a link that is down."""
        self._is_cut = True

    def heal(self) -> None:
        """Carry what comes from now on. Connections of before are reset, as middleboxes have forgotten them."""

        def reset() -> None:
            for writer in list(self._writers):
                writer.transport.abort()
            self._is_cut = False
            self._healed.set()

        self._loop.call_soon_threadsafe(reset)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            if self._is_cut:
                await self._healed.wait()
            there_reader, there_writer = await asyncio.open_connection(*self._to)
            self._writers.add(there_writer)
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        self._writers.discard(writer)
        writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.ensure_future(self._arrive(on_the_way, writer))
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                late_s = RETRANSMISSION_S + 2 * self._way_s if random.random() < self._loss else 0.0  # noqa: S311
                on_the_way.put_nowait((self._loop.time() + self._way_s + late_s, chunk))
        on_the_way.put_nowait((0.0, b""))
        await arriving

    async def _arrive(self, on_the_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                at_s, chunk = await on_the_way.get()
                if not chunk:
                    break
                await asyncio.sleep(max(0.0, at_s - self._loop.time()))
                if not self._is_cut:
                    writer.write(chunk)
                    await writer.drain()
        self._writers.discard(writer)
        writer.close()

"""A file that grows, as an exporter's does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value,labels_raw\n"
BEGIN = datetime(2025, 7, 18, tzinfo=UTC)


class Feeder(threading.Thread):
    """Writes rows to a file at a steady pace, in pieces that tear lines, until stopped; then the rest of its last line.

    No two rows have the same key: each has a time that is a second later than the one before, or, where it begins at
    another time than BEGIN, as much later as it is written later. `padding` makes rows longer by a label of so many
    characters.
    """

    def __init__(self, path: Path, rows_per_s: int, gpu: str, padding: int = 0, begin: datetime = BEGIN) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.rows = 0
        self._rows_per_s = rows_per_s
        self.gpu = gpu
        self._begin, self._step_s = begin, 1 if begin == BEGIN else 1 / rows_per_s
        self._labels = f'"padding=""{"x" * padding}"""' if padding else ""
        self._stopping = threading.Event()
        self._naming = threading.Lock()
        self.path.write_text(HEADER)

    def run(self) -> None:
        """Write until stopped."""
        pause_s, left = 0.05, ""
        while not self._stopping.wait(pause_s):
            piece = left + "".join(self._row() for _ in range(int(self._rows_per_s * pause_s)))
            cut = len(piece) - len(piece) % 97
            self._write(piece[:cut])
            left = piece[cut:]
        self._write(left)

    def rename(self, path: Path) -> None:
        """Rename the file and write on to it."""
        with self._naming:
            self.path = self.path.rename(path)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let it write nothing meanwhile."""
        with self._naming:
            yield

    def finish(self) -> None:
        """Stop with a whole line."""
        self._stopping.set()
        self.join()

    def _row(self) -> str:
        n = self.rows
        self.rows += 1
        value = "x" if n % 997 == 5 else "" if n % 97 == 3 else str(n % 1000)
        stamp = (self._begin + timedelta(seconds=n * self._step_s)).isoformat().replace("+00:00", "Z")
        return f"{stamp},DCGM_FI_DEV_GPU_UTIL,0,{self.gpu},host-1,{value},{self._labels}\n"

    def _write(self, text: str) -> None:
        # Opened anew each time, as writers do that find their file rotated away.
        with self._naming, self.path.open("a") as file:
            file.write(text)

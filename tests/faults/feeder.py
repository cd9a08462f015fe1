"""A file that grows, as an exporter's does."""

from __future__ import annotations

import threading
from pathlib import Path

HEADER = "timestamp,metric_name,gpu_id,uuid,Hostname,value,labels_raw\n"


class Feeder(threading.Thread):
    """Writes rows to a file at a steady pace, in pieces that tear lines, until stopped; then the rest of its last line.

    No two rows have the same key. `padding` makes rows longer by a label of so many characters.
    """

    def __init__(self, path: Path, rows_per_s: int, gpu: str, padding: int = 0) -> None:
        super().__init__(daemon=True)
        self.path = path
        self.rows = 0
        self._rows_per_s = rows_per_s
        self._gpu = gpu
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

    def finish(self) -> None:
        """Stop with a whole line."""
        self._stopping.set()
        self.join()

    def _row(self) -> str:
        n = self.rows
        self.rows += 1
        value = "x" if n % 997 == 5 else "" if n % 97 == 3 else str(n % 1000)
        stamp = f"2025-07-{18 + n // 86_400:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z"
        return f"{stamp},DCGM_FI_DEV_GPU_UTIL,0,{self._gpu},host-1,{value},{self._labels}\n"

    def _write(self, text: str) -> None:
        # Opened anew each time, as writers do that find their file rotated away.
        with self._naming, self.path.open("a") as file:
            file.write(text)

"""Whether this machine is the one that streams for its edge. Another one of the same name waits, and says so.

A machine is known by its id and by its boot: machines that were cloned have one id, and are never booted as one. Where several
machines share the files of an edge, `TELEMETRY_MACHINE_ID` makes them one. The lease is `telemetry.progress.machines`'.
"""

from __future__ import annotations

import logging
import math
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.progress.machines import Machines
from telemetry.readings.digests import digest
from telemetry.settings import Settings

# https://www.freedesktop.org/software/systemd/man/latest/machine-id.html; a container may have none, or that of its image. The
# boot id is the kernel's (random(4)), in a container too.
FILES = ("/etc/machine-id", "/proc/sys/kernel/random/boot_id")
TELL_EVERY_S = 300.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Machine:
    """The machine that a streamer runs on, and whether it may stream."""

    settings: Settings
    machines: Machines
    _id: str = field(init=False)
    _asked_s: float = -math.inf
    _told_s: float = -math.inf
    _other: str | None = None

    def __post_init__(self) -> None:
        self._id = self.settings.machine_id or digest("\n".join(_marks()).encode())

    def streams(self) -> bool:
        """Whether this machine streams for its edge; asked again four times a lease."""
        if time.monotonic() - self._asked_s >= self.settings.lease_s / 4:
            before = self._other
            self._other = self.machines.claim(self._id, socket.gethostname())
            self._asked_s = time.monotonic()
            if self._other is not None:
                self._tell(self._other)
            elif before is not None:
                log.warning("%s is streamed from this machine now; %s does not report any more", self.settings.edge, before)
                self._told_s = -math.inf
        return self._other is None

    def _tell(self, other: str) -> None:
        if time.monotonic() - self._told_s < TELL_EVERY_S:
            return
        self._told_s = time.monotonic()
        log.error(
            "this machine streams nothing: another one, %s, streams as the edge %s. If that one is gone, this one goes on by "
            "itself within %.0f s. If not, give each a TELEMETRY_EDGE of its own; if both read the same files, give both the "
            "same TELEMETRY_MACHINE_ID",
            *(other, self.settings.edge, self.settings.lease_s),
        )


def _marks() -> list[str]:
    marks = []
    for name in FILES:
        with suppress(OSError):
            marks.append(Path(name).read_text().strip())
    # Elsewhere than on Linux, such as the address of a network card.
    return marks or [f"{uuid.getnode():x}"]

"""What a stream is at: reading its file, or draining because the bytes that it read are gone.

A stream is `Reading` until the bytes that were read are no longer there. Then it is `Draining`: nothing more is read, and the
batches in flight are waited for. Batches that must be published again but can no longer be read are lost, and so are bytes that
were seen but never read. When nothing is in flight any more the source ends, to be opened anew. `stream` does all this.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """The file is read on."""


@dataclass(frozen=True, slots=True)
class Draining:
    """The bytes that were read are gone, and why: batches in flight are waited for, nothing more is read."""

    reason: str


Phase = Reading | Draining
READING = Reading()
CHANGED = Draining("its file was cut or written anew")
GONE = Draining("its file is gone")

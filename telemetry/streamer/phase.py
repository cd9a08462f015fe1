"""What a stream is at: reading its file, or draining because the bytes that it read are gone."""

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

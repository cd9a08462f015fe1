"""The header of a message as a dead letter keeps it, and whether a collector could store the letter again. Pure.

A header that cannot be kept as it was sent stands under a name of its own: nobody may take for a header what never was one.
"""

from __future__ import annotations

from typing import Any

from telemetry.readings import wire

# What is kept of such a header: all of it, as far as the database can hold it, or the beginning of its text.
ALTERED = "altered"
BEGINNING = "beginning"
# What to do about a letter that nobody can store again: its readings come again from their file, as other batches.
MEND = "Where its file is, run telemetry ingest FILE with another --batch-size, then drop the letter (runbook DeadLetters)"


def hindrance(header: Any, edge: str | None, batch_id: str | None) -> str | None:
    """Why no collector could store a letter of a batch again; None if one can try. `edge` is None if the letter names none."""
    if isinstance(header, dict) and header.keys() in ({ALTERED}, {BEGINNING}):
        return "its header could not be kept as it was sent"
    try:
        checked = wire.check_header(header)
    except wire.NewerVersionError as error:
        return f"it waits for newer collectors: {error}"
    except wire.WireError as error:
        return f"its header cannot be read: {error}"
    if edge is not None and (checked["edge"], checked["batch_id"]) != (edge, batch_id):
        return f"its header names another batch: {checked['edge']} {checked['batch_id']}"
    return None

"""What a person can do about a source, by its JSON object in the document of `telemetry status`. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

# By the counts of what wants a look.
LOOKS = {
    "dead_letters": "telemetry deadletter list shows what could not be stored, and why",
    "quarantined": "telemetry quarantine list --source {path} shows the rows that could not be read, and what mends them",
    "conflicts": "telemetry verify {path}, at its edge, shows the readings with another value than the stored one",
    "expired": "telemetry db retention shows since when readings are kept; older ones that came later are in the file alone",
}


def todo(source: Mapping[str, Any], *, is_silent: bool) -> list[str]:
    """What is to be done, what matters most first; nothing for a source that is well. `is_silent`: its edge is overdue."""
    return list(_todo(source, is_silent=is_silent))


def _todo(source: Mapping[str, Any], *, is_silent: bool) -> Iterator[str]:
    path = shlex.quote(source["path"])
    if source["foreign"]:
        yield f"it is not read: {source['miss'] or 'no format knows its header'}"
        edge = shlex.quote(source["edge"])
        yield f"if it is no telemetry, take it out of TELEMETRY_SOURCES; then: telemetry forget --edge {edge} {path}"
        return
    if source["unread_lines"]:
        yield f"telemetry check {path}, at its edge, shows the header above the lines that are not read"
    yield from (text.format(path=path) for count, text in LOOKS.items() if source[count])
    if source["series_column"]:
        yield f"take out the column {source['series_column']}: it makes a new series of nearly each record"
    if is_silent and (source["lag_bytes"] or source["in_flight"]):
        yield f"start the streamer of {source['edge']}: nobody reads the file"
    elif source["in_flight"] and source["rows_per_s"] == 0:
        yield "nothing of it was committed in the last minute: see whether collectors run (telemetry status)"
    if source["safe_to_delete"]:
        yield "it may be deleted: the database has taken all of it"

"""The line of a source in `telemetry status`, and how much it wants to be seen. Pure; made of the source's JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from telemetry.cli.quantities import counted, size

LOOKS = {"quarantined": "in quarantine", "conflicts": "in conflict", "expired": "expired"}


class Standing(IntEnum):
    """How a source is, the worst first. A quiet one is wholly committed, and nothing is to be said of it."""

    BAD = 0
    LOOK = 1
    BUSY = 2
    QUIET = 3


def standing(source: Mapping[str, Any]) -> Standing:
    """How a source is."""
    if source["foreign"] or source["unread_lines"] or source["dead_letters"]:
        return Standing.BAD
    if source["series_column"] or any(source[count] for count in LOOKS):
        return Standing.LOOK
    if source["lag_bytes"] or source["in_flight"] or source["growing"] or source["replayed"]:
        return Standing.BUSY
    return Standing.QUIET


def source_line(source: Mapping[str, Any]) -> str:
    """What is known of a source, in one line."""
    remark = _remark(source)
    return f"source    {source['edge']} {source['path']}: {progress(source)}{f'  {remark}' if remark else ''}"


def progress(source: Mapping[str, Any]) -> str:
    """How far it is committed. Of a foreign file nothing is, although the edge has told the centre of it."""
    if source["foreign"]:
        return f"{size(source['size'])}, none of it read"
    words = [f"{size(source['committed'])} of {size(source['size'])} committed"]
    if source["lag_bytes"] and not source["replayed"]:
        words.append(f"{size(source['lag_bytes'])} behind")
    if source["in_flight"]:
        words.append(f"{counted(source['in_flight'], 'batch', 'batches')} in flight")
    return ", ".join(words)


def _remark(source: Mapping[str, Any]) -> str:
    if source["foreign"]:
        return f"FOREIGN: {source['miss'] or 'no format knows its header'}"
    if source["unread_lines"]:
        return f"{counted(source['unread_lines'], 'line')} UNREAD: no format knows the header above"
    if source["dead_letters"]:
        return counted(source["dead_letters"], "DEAD letter")
    if source["replayed"]:
        return f"replaying, {source['replayed_ratio']:.0%}"
    words = ["safe to delete"] if source["safe_to_delete"] else ["growing"] if source["growing"] else []
    words += [f"{source[count]:,} {text}" for count, text in LOOKS.items() if source[count]]
    if source["series_column"]:
        words.append(f"column {source['series_column']} makes a new series of nearly each record")
    return ", ".join(words)

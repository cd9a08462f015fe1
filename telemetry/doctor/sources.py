"""Whether an edge has files to read: its patterns match, and this user may read what they match."""

from __future__ import annotations

import os
from collections.abc import Sequence

from telemetry.doctor.finding import Judgement, failed, ok, warning
from telemetry.settings import Settings
from telemetry.streamer.matching import matching


def files(settings: Settings) -> list[str]:
    """What the patterns match."""
    return [path for path in matching(settings.sources) if os.path.isfile(path)]  # noqa: PTH113 - there may be very many


def check(settings: Settings) -> Judgement:
    """Match, and ask whether each may be read."""
    paths = files(settings)
    return judge(settings.sources, len(paths), [path for path in paths if not os.access(path, os.R_OK)])


def judge(patterns: Sequence[str], count: int, closed: Sequence[str]) -> Judgement:
    """What was found."""
    if not patterns:
        return failed("TELEMETRY_SOURCES names no files", "set it to the patterns of the files, such as /data/*.csv")
    shown = ", ".join(patterns)
    if closed:
        return failed(
            f"{len(closed)} of {count} files cannot be read by user {os.getuid()}, such as {closed[0]}",
            "give this user or a group of it the right to read: streamer.files.supplementalGroups in the chart",
        )
    if not count:
        return warning(
            f"no file matches {shown}", "see whether the volume is mounted and the exporter writes; they may come later"
        )
    return ok(f"{count} files match {shown} and can be read")

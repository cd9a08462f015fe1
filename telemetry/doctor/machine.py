"""What this machine gives the role: its libraries, room on its disks, descriptors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from telemetry import descriptors
from telemetry.doctor.finding import Judgement, failed, ok, warning

EDGE = ("celery", "redis", "msgpack", "msgspec", "numpy", "pyarrow", "prometheus_client")
CENTRAL = (*EDGE, "alembic", "psycopg", "sqlalchemy")
LIBRARIES = {"edge": EDGE, "central": CENTRAL, "api": (*CENTRAL, "flask", "gunicorn", "orjson", "pydantic")}
EXTRAS = {"edge": "edge", "central": "central", "api": "central"}
MIN_FREE_BYTES = 256 << 20
MIN_FREE_SHARE = 0.05
MIN_DESCRIPTORS = 1024


def libraries(role: str) -> Judgement:
    """Whether the libraries of the role are installed; none is imported."""
    return judge_libraries([name for name in LIBRARIES[role] if find_spec(name) is None], role)


def judge_libraries(missing: Sequence[str], role: str) -> Judgement:
    """What is missing."""
    if not missing:
        return ok(f"the libraries of {role} are installed")
    return failed(
        f"not installed: {', '.join(missing)}", f"install the wheel with the extra [{EXTRAS[role]}], or use that image"
    )


def disk(places: Sequence[Path]) -> Judgement:
    """Whether there is room where the role writes."""
    judged = []
    for place in places:
        at = next((folder for folder in (place, *place.absolute().parents) if folder.is_dir()), Path("/"))
        room = os.statvfs(at)
        writable = os.access(at, os.W_OK | os.X_OK)
        judged.append(judge_disk(place, room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize, writable))
    worst = [judgement for judgement in judged if judgement.verdict == "failed"]
    return worst[0] if worst else ok("; ".join(judgement.says for judgement in judged))


def judge_disk(place: Path, free_bytes: int, all_bytes: int, writable: bool) -> Judgement:
    """Whether a place can be written to, and for how long."""
    if not writable:
        return failed(f"{place} cannot be written to by user {os.getuid()}", "mount a volume there that this user may write to")
    shown = f"{free_bytes / (1 << 20):,.0f} MiB of {all_bytes / (1 << 20):,.0f} MiB are free"
    if free_bytes < min(MIN_FREE_BYTES, MIN_FREE_SHARE * all_bytes):
        return failed(f"{place}: only {shown}", "make room there")
    return ok(f"{place}: {shown}")


def open_files(files: int = 0) -> Judgement:
    """Whether there are descriptors enough, for so many files."""
    return judge_open_files(descriptors.limit(), descriptors.for_files(), files)


def judge_open_files(limit: int, for_files: int, files: int) -> Judgement:
    """What a limit is worth."""
    mend = "raise it: LimitNOFILE= of the unit, `ulimits` of Compose, or the container runtime's"
    if limit < MIN_DESCRIPTORS:
        return warning(f"this process may open {limit} files", mend)
    if files > for_files:
        return warning(
            f"this process may open {limit} files, and {files} match: quiet ones are let go of and opened again", mend
        )
    return ok(f"this process may open {limit:,} files")

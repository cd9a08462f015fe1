"""What kept files say must not change under a version: the guarantee that each reading is stored once rests on it.

Each file of `kept` is named for its format; `kept/readings.json` has the digest of what it says, by name and version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from telemetry.formats.base import Limits
from telemetry.formats.registry import FORMATS
from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.readings.rows import Readings
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile

KEPT = Path(__file__).parent / "kept"
FILES = sorted(path for path in KEPT.iterdir() if path.suffix != ".json")
DIGESTS: dict[str, str] = json.loads((KEPT / "readings.json").read_text())
# Of the times of the files: 2000-01-01, and 2025-07-18T20:43Z with the hour after it.
READER = Reader(1 << 16, Limits(946_684_800_000_000, 3_600_000_000))
NOW_US = 1_752_871_380_000_000
# What the files do not say.
NODE = SourceSettings(time_zone="UTC", host="node")
MAPPING = ColumnMapping(
    ("Datum", "Uhrzeit"),
    "%d.%m.%Y %H:%M:%S",
    (
        Measured("Auslastung", "DCGM_FI_DEV_GPU_UTIL", "%"),
        Measured("Leistung (mW)", "DCGM_FI_DEV_POWER_USAGE", "mW"),
        Measured("gpu{index}_used", "DCGM_FI_DEV_FB_USED", "MiB"),
    ),
    gpu=(("index", "GPU"),),
    labels=(("job", "job"),),
    delimiter=";",
    decimal=",",
    thousands=".",
    none=("-1",),
    ignore=("Notiz",),
)
SAID = {each.name: NODE for each in FORMATS if each.name != "dcgm"} | {
    "mapped": SourceSettings(time_zone="Europe/Berlin", host="node", mapping=MAPPING)
}


def digest_of(path: Path, limit: int) -> tuple[str, str]:
    """Name and version of a file's format, and the digest of what the file says."""
    with opened(path) as source:
        known = source.head.format
        assert known is not None, f"no format knows the header of {path}"
        head = source.head
        batches = Cutter(source, READER).batches(head.first, limit=limit, room_bytes=1 << 30, now_us=NOW_US)
        parts = [batch.readings for batch in batches]
    counts = f"{sum(part.blank for part in parts)} blank in {sum(part.records for part in parts)} records"
    readings, rows = ([line for part in parts for line in each(part)] for each in (said, turned_away))
    lines = [head.fingerprint, counts, *readings, *rows]
    return f"{known.name}/{known.version}", sha256("\n".join(lines).encode()).hexdigest()[:32]


def opened(path: Path) -> SourceFile:
    """A file that is complete."""
    said = SAID.get(path.stem, NO_SETTINGS)
    source = SourceFile.open(path, max_record=READER.max_record, final=True, settings=said)
    assert source is not None
    return source


def said(readings: Readings) -> Iterator[str]:
    """The readings, a line each."""
    for code, ts_us, value in zip(readings.codes, readings.ts_us, readings.values, strict=True):
        yield f"{readings.series[code]} {ts_us} {float(value).hex()}"


def turned_away(readings: Readings) -> Iterator[str]:
    """The rows for the quarantine, a line each."""
    for row in readings.quarantined:
        yield f"{row.offset} {row.line} {row.reason} {row.raw.hex()}"


def test_each_format_has_a_kept_file() -> None:
    assert {each.name for each in FORMATS} <= {path.stem for path in FILES}


def test_each_kept_file_cites_its_source() -> None:
    sources = json.loads((KEPT / "sources.json").read_text())
    assert sources.keys() == {path.name for path in FILES}, "tests/formats/kept/sources.json names each file of kept"
    assert all("https://" in source or source.startswith("no tool: docs/") for source in sources.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_kept_file_says_what_it_said_under_this_version(path: Path) -> None:
    version, now = digest_of(path, 4)
    assert digest_of(path, 1000) == (version, now), "how much is read at a time must not matter"
    name = version.partition("/")[0]
    assert f"{version} {path.name}" in DIGESTS, (
        f"{version} is new: add to tests/formats/kept/readings.json, beside the older versions: "
        f'"{version} {path.name}": "{now}"'
    )
    assert DIGESTS[f"{version} {path.name}"] == now, (
        f"tests/formats/kept/{path.name} is read differently under the same version. If that is meant, raise the version of "
        f"{name} in telemetry/formats and in telemetry/verify/formats, so that the centre does not take what is read now for "
        f'what it has; then add the digest of the new version: "{now}"'
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_kept_file_holds_every_kind_of_row(path: Path) -> None:
    with opened(path) as source:
        one = Cutter(source, READER).next(source.head.first, limit=10**6, now_us=NOW_US)
    assert one is not None
    assert len(one.readings.codes)
    assert one.readings.blank
    reasons = {row.reason for row in one.readings.quarantined}
    # An event has no value that could be bad.
    values = set() if path.stem == "fleetint-events" else {"bad_value"}
    assert {"bad_timestamp", "too_old", "too_new", "bad_columns", "bad_quotes", "bad_text"} | values <= reasons

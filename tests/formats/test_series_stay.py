"""A later version of a format may read more, but never gives a reading another series: read again, it would be stored twice.

`kept/series.json` has, by kept file, a digest of each series that any version has read there. `GOLDEN=new` adds those that are
new, and takes none away. Why: docs/decisions/0008-identity-outlives-settings.md.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest

from telemetry.readings.owners import OWNER_LABELS
from telemetry.readings.series import SeriesKey
from telemetry.settings import VOLATILE_LABELS
from telemetry.streamer.batching import Cutter
from tests.formats.test_kept import FILES, KEPT, NOW_US, opened
from tests.formats.test_kept import READER as KEPT_READER

SERIES = KEPT / "series.json"
KNOWN: dict[str, list[str]] = json.loads(SERIES.read_text()) if SERIES.exists() else {}


def series_of(path: Path) -> dict[str, str]:
    """The series that a file has readings of: digest → what it is."""
    with opened(path) as source:
        batches = Cutter(source, KEPT_READER).batches(source.head.first, limit=1000, room_bytes=1 << 30, now_us=NOW_US)
        texts = {batch.readings.series[code] for batch in batches for code in batch.readings.codes.tolist()}
    keys = [SeriesKey.from_text(text) for text in texts]
    names = [json.dumps([key.gpu, key.metric, key.lasting({*VOLATILE_LABELS, *OWNER_LABELS})], sort_keys=True) for key in keys]
    return {sha256(name.encode()).hexdigest()[:12]: name for name in names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_was_read_under_a_name_is_read_under_it_for_ever(path: Path) -> None:
    now = series_of(path)
    if os.environ.get("GOLDEN") == "new":
        known = json.loads(SERIES.read_text()) if SERIES.exists() else {}
        known[path.name] = sorted({*known.get(path.name, []), *now})
        SERIES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        return
    known = set(KNOWN.get(path.name, []))
    assert known, f"{path.name} is new: run GOLDEN=new pytest {Path(__file__).name}"
    gone = known - now.keys()
    new = [name for digest, name in now.items() if digest not in known]
    assert not gone, f"{len(gone)} series of {path.name} are read under other names now; those that are new: {sorted(new)}"

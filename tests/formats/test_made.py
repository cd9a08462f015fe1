"""No row is called read or stored that is not: 25 files whose writer knows what each line is, against what commands say."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.fixtures.services import Query
from tests.formats.made import SAID, make

Run = Callable[..., subprocess.CompletedProcess[str]]
ENDINGS = {"packed": ".gz", "tight": ".xz", "cut": ".gz"}
SEED = 14


def test_every_line_of_25_files_is_in_the_class_that_its_writer_knows(
    start_collector: Callable[[], object], telemetry: Run, query: Query, tmp_path: Path
) -> None:
    folder, said = tmp_path / "made", tmp_path / "sources.toml"
    folder.mkdir()
    said.write_text(SAID)
    truths: dict[Path, Counter[str]] = {}
    for name, (data, truth) in make(SEED).items():
        path = folder / f"{name}.csv{ENDINGS.get(name.rstrip('0123456789'), '')}"
        path.write_bytes(data)
        truths[path] = truth
    assert len(truths) == 25
    truth = sum(truths.values(), Counter[str]())
    environ = {"TELEMETRY_SOURCE_SETTINGS": str(said), "TELEMETRY_CLOSE_AFTER_S": "0"}
    start_collector()

    told = json.loads(telemetry("ingest", "--json", "--timeout", "60", folder, **environ).stdout)
    # Of lines under a header that nobody knows the header is in quarantine, and is counted there.
    headers = told["reasons"].get("unknown_format", 0)
    assert headers == sum("joined" in path.name or "tight" in path.name for path in truths)
    assert {name: told[name] for name in ("new", "known", "conflict", "blank", "quarantined", "unread", "dead_rows")} == {
        "new": truth["stored"],
        "known": truth["duplicate"],
        "conflict": truth["conflict"],
        "blank": truth["blank"],
        "quarantined": truth["quarantined"] + headers,
        "unread": truth["unread"] - headers,
        "dead_rows": 0,
    }
    assert query("SELECT count(*) FROM samples") == [(truth["stored"],)]

    done = telemetry("verify", "--json", folder, **environ)
    counts = json.loads(done.stdout)
    assert done.returncode == 1
    classes = ("stored", "duplicate", "conflict", "blank", "quarantined", "unread", "missing", "extra", "dead")
    assert {name: counts[name] for name in classes} == {name: truth[name] for name in classes}

    sources = {Path(each["path"]): each for each in json.loads(telemetry("status", "--json", **environ).stdout)["sources"]}
    assert sources.keys() == truths.keys()
    for path, known in truths.items():
        shown = sources[path]
        assert shown["safe_to_delete"] == (not known["unread"]), path.name
        assert (shown["foreign"] or shown["unread_lines"] > 0) == (known["unread"] > 0), path.name
        unread_headers = 1 if known["unread"] and not shown["foreign"] else 0
        looks = {"quarantined": known["quarantined"] + unread_headers, "conflicts": known["conflict"]}
        assert shown["foreign"] or {name: shown[name] for name in looks} == looks, path.name

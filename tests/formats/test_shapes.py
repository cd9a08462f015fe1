"""Files of other tools: no line of them is called read or stored that is not."""

from __future__ import annotations

import codecs
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from telemetry.streamer.source import SourceFile
from tests.formats.shapes import FOREIGN, PARTLY

Run = Callable[..., subprocess.CompletedProcess[str]]


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """A file of this content."""
    path = folder / f"{name}.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(path: Path) -> int:
    """The physical lines of a file."""
    content = path.read_bytes()
    if content.startswith(codecs.BOM_UTF16):
        content = content.decode("utf-16").encode()
    return content.count(b"\n") + (not content.endswith(b"\n"))


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_says_why_it_is_not_read(name: str, tmp_path: Path) -> None:
    source = SourceFile.open(written(tmp_path, name, FOREIGN[name]), max_record=1 << 16, final=True)
    assert source is not None
    with source:
        assert source.head.format is None
        assert source.head.miss


def test_each_line_is_in_one_class(start_collector: Callable[[], object], telemetry: Run, tmp_path: Path) -> None:
    foreign = [written(tmp_path, name, content) for name, content in FOREIGN.items()]
    partly = [written(tmp_path, name, content) for name, (content, _, _) in PARTLY.items()]
    # And a real GPU in every form that nvidia-smi writes, where these files are at hand.
    real = Path(os.environ.get("TELEMETRY_REAL_DATA", tmp_path / "none")) / "nvidia-smi-h200"
    foreign += [path for path in sorted(real.glob("*.csv")) if path.stat().st_size]
    unread = sum(map(lines, foreign)) + sum(number for _, _, number in PARTLY.values())
    start_collector()
    done = telemetry("ingest", "--json", "--final", "--timeout", "60", *foreign, *partly)
    told = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert sorted(told["foreign"]) == sorted(str(path.resolve()) for path in foreign)
    # Of lines under a header that nobody knows the header is in quarantine, and is counted there.
    headers = sum(number > 0 for _, _, number in PARTLY.values())
    assert (told["unread"], told["reasons"]) == (unread - headers, {"unknown_format": headers})
    assert told["new"] == 3
    verified = telemetry("verify", "--json", *foreign, *partly)
    counts = json.loads(verified.stdout)
    assert verified.returncode == 1
    assert (counts["unread"], counts["stored"], counts["missing"], counts["extra"]) == (unread, 3, 0, 0)
    sources = json.loads(telemetry("status", "--json", TELEMETRY_CLOSE_AFTER_S="0").stdout)["sources"]
    whole = {str(path) for path, (_, _, number) in zip(partly, PARTLY.values(), strict=True) if not number}
    assert {each["path"] for each in sources if each["safe_to_delete"]} == whole

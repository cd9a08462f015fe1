"""The head of a file: what may stand above a header, what a file without one is read by, and what a foreign one is."""

from __future__ import annotations

import bz2
import io
import zipfile
from pathlib import Path

import pytest

from telemetry.formats.heads import Head, identify, needed_bytes
from telemetry.streamer.source import SourceFile

HEADER = b"timestamp,metric_name,gpu_id,uuid,Hostname,value\n"
ROW = b"2026-11-05T00:00:00Z,M,3,GPU-c1,node-c,400\n"
LIMIT = 1 << 16
TABLE = b"Thu Nov  5 10:00:00 2026       \n+-----+\n| NVIDIA-SMI 580 |\n|=====|\n+-----+\n\n"


def known(data: bytes, inherited: bytes = b"", *, final: bool = True) -> Head:
    """The head of a file of these bytes."""
    head = identify(data, max_record=LIMIT, final=final, inherited=inherited)
    assert head is not None
    return head


@pytest.mark.parametrize(
    "above", [b"\n", b" \t\r\n\n", b"# made by a script\n", b"sep=,\r\n", b"\xef\xbb\xbf#\n\n#a,b\n", TABLE]
)
def test_blank_lines_and_comments_may_stand_above_a_header(above: bytes) -> None:
    head = known(above + HEADER + ROW)
    assert head.format_name == "dcgm"
    assert head.first == (len(above + HEADER), above.count(b"\n") + 2, 0)
    assert head.header == HEADER
    assert identify(above, max_record=LIMIT, final=False) is None
    assert identify(above[:-1], max_record=LIMIT, final=True) is None


def test_above_a_header_there_may_be_only_so_much() -> None:
    assert known((b"#" * 99 + b"\n") * (needed_bytes(LIMIT) // 100 + 1), final=False).format is None


def test_a_file_without_a_header_is_read_by_that_of_the_one_before() -> None:
    head = known(ROW * 2, HEADER)
    assert (head.format_name, head.first, head.is_inherited) == ("dcgm", (0, 1, 0), True)
    # It is the same source, whether there was a header to inherit or not.
    assert head.fingerprint == known(ROW * 2).fingerprint
    assert head.mark
    assert known(HEADER + ROW, HEADER).mark == ""


@pytest.mark.parametrize(
    "data",
    [
        b"2026-11-05T00:00:00Z,M,3,GPU-c1,node-c\n",
        b"2026-11-05T00:00:00Z,M,3,GPU-c1,node-c,400,r1\n",
        b"yesterday,M,3,GPU-c1,node-c,400\n",
        b"2026-11-05T00:00:00Z,M,3,GPU-c1,node-c,much\n",
        ROW + b"2026-11-05T00:00:01Z,M,3,GPU-c1,node-c\n",
        b"timestamp, index, power.draw [W]\n",
    ],
)
def test_it_is_foreign_if_its_first_records_do_not_fit(data: bytes) -> None:
    assert known(data, HEADER).format is None


def test_nuls_that_a_writer_leaves_before_a_file_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for nuls in (1, 5000, 3 << 20):
        path.write_bytes(b"\0" * nuls + ROW)
        with SourceFile.open(path, max_record=LIMIT, final=False, inherited=HEADER) or pytest.fail("it has a row") as source:
            assert source.head.first == (nuls, 1, 0)
            prefix = source.prefix(nuls)
            assert source.still_has(prefix)
            path.write_bytes(b"x" + b"\0" * (nuls - 1) + ROW)
            assert not source.still_has(prefix)
    path.write_bytes(b"\0" * 100)
    assert SourceFile.open(path, max_record=LIMIT, final=False) is None


def zipped(data: bytes) -> bytes:
    """A zip archive with one file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.csv", data)
    return target.getvalue()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bz2.compress(HEADER + ROW), "bzcat FILE | telemetry ingest -"),
        (zipped(HEADER + ROW), "zip"),
        ((HEADER + ROW).decode().encode("utf-16-le"), "UTF-16"),
        ("zeit,größe,wert\n".encode("latin-1"), "not UTF-8"),
        (HEADER.replace(b",", b";") + ROW, "separated by semicolons"),
        (HEADER.replace(b",", b"\t") + ROW, "separated by tabs"),
        (HEADER.replace(b"timestamp", b"Timestamp") + ROW, "'Timestamp' is spelt 'timestamp'"),
        (b"timestamp,uuid,value\n", "lacks metric_name"),
        (b"timestamp,metric_name,value\n", "lacks uuid (or Hostname and gpu_id)"),
        (b"timestamp,metric_name,uuid,value,value\n", "stands in its header twice"),
        (b"a,b\n1,2\n", "no format knows its first line as a header: 'a,b'"),
        (b"x" * 100 + b"\n", "x…'"),
    ],
)
def test_a_foreign_file_says_what_it_is_and_what_would_mend_it(data: bytes, says: str) -> None:
    head = known(data)
    assert head.format is None
    assert says in head.miss

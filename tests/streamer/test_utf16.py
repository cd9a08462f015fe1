"""UTF-16 is read as the ASCII in it, also while it grows; what is more than that is not taken for anything."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.streamer.contents import Plain
from telemetry.streamer.source import SourceFile
from telemetry.streamer.utf16 import Utf16, decoded
from telemetry.verify.contents import opened
from tests.streamer.edge import HEADER, Edge, rows, values
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
CODECS = ["utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("codec", CODECS)
@given(text=st.text(max_size=50), start=st.integers(0, 60), length=st.integers(0, 60), torn=st.booleans())
def test_each_unit_is_a_byte(
    tmp_path_factory: pytest.TempPathFactory, codec: str, text: str, start: int, length: int, torn: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{codec}.csv"
    units = text.encode(codec, "surrogatepass")
    path.write_bytes("\ufeff".encode(codec) + units + b"\0" * torn)
    expected = b"".join(c.encode() if c.isascii() else b"\xff" * (len(c.encode(codec, "surrogatepass")) // 2) for c in text)
    with path.open("rb") as stream:
        content = decoded(Plain(stream.fileno()))
        assert isinstance(content, Utf16)
        assert (content.size(), content.read(start, length)) == (len(expected), expected[start : start + length])
    with opened(path) as data:
        assert data[:] == expected


@pytest.mark.parametrize("codec", CODECS)
def test_a_growing_file_is_followed(edge: Edge, folder: Path, codec: str) -> None:
    path = folder / "a.csv"
    text = HEADER + rows(0, 35)
    path.write_bytes(("\ufeff" + text).encode(codec))
    with edge.streamer() as streamer:

        def until(size: int) -> None:
            def done() -> bool:
                streamer.tick(0)
                edge.acknowledge(*edge.fetch())
                return edge.committed(path) == size

            eventually(done)

        until(len(text))
        with path.open("ab") as stream:
            stream.write(rows(35, 40).encode(codec)[:-7])
        until(len(HEADER + rows(0, 39)))
        with path.open("ab") as stream:
            stream.write(rows(39, 40).encode(codec)[-7:])
        until(len(HEADER + rows(0, 40)))
    assert values(edge.published) == list(range(40))


def test_what_is_more_than_ascii_is_quarantined_or_foreign(
    start_collector: Callable[[], object], telemetry: Run, tmp_path: Path
) -> None:
    start_collector()
    text = HEADER + rows(0, 10) + rows(10, 11).replace("host-1", "höst") + rows(11, 12)
    (tmp_path / "a.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((HEADER + rows(20, 30)).encode("utf-16")))
    done = telemetry("ingest", "--json", "--final", "--timeout", "60", tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["new"], told["reasons"]) == (0, 21, {"bad_text": 1}), done.stderr
    verified = telemetry("verify", "--json", "--allow-extra", tmp_path)
    counts = json.loads(verified.stdout)
    assert (verified.returncode, counts["stored"], counts["quarantined"]) == (0, 21, 1)
    path = tmp_path / "c.csv"
    path.write_bytes(HEADER.replace("value", "value,grad [°C]").encode("utf-16"))
    with SourceFile.open(path, max_record=1000, final=True) or pytest.fail("it has a line") as source:
        assert (source.head.format, "save it as UTF-8" in source.head.miss) == (None, True)

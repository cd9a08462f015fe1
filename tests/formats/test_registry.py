"""Both lists of formats hold the same, and a header finds its format."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from pathlib import Path

from telemetry.formats import registry
from telemetry.formats.base import UNKNOWN, Limits
from telemetry.formats.dcgm import Dcgm
from telemetry.formats.heads import identify
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.settings import Settings
from telemetry.streamer.batching import Cutter, Reader
from telemetry.streamer.source import SourceFile
from telemetry.verify.formats import registry as readers
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.heads import head
from tests.formats.registered import registered
from tests.formats.toy_wide import ToyWide
from tests.formats.toy_wide_reader import ToyWideReader
from tests.strategies import HEADER, WIDE_HEADER

LIMITS = Limits(1, 2)
# Lines of a module; and what those do that have more.
SHORT = 80
LONGER = {
    "dcgm": "lines that are like others before go a faster way; labels stand in a cell",
    "dcgm-fields": "a record names its metric, and values may be texts",
    "nvidia-smi-dmon": "a table or CSV, a second line of units, times without a day",
    "nvidia-smi-apps": "names with commas in them, so fields are counted from both ends",
    "amd-smi": "lists in cells, of which each value is a series",
    "fleetint": "labels as JSON in a cell",
    "fleetint-events": "what happened, and to which GPU, stands in a sentence",
    "slurm-jobs": "a job a line, with lists of nodes and GPUs",
    "labelled": "each column names a series and its GPU",
    "mapped": "what the columns mean is said elsewhere",
}


def test_each_format_has_a_reader_of_verify_and_each_reader_a_format() -> None:
    assert [(each.name, each.version) for each in registry.FORMATS] == [(each.name, each.version) for each in readers.READERS]
    names = [each.name for each in registry.FORMATS]
    assert len({*names, UNKNOWN}) == len(names) + 1, "a name stands for one format"


def test_a_format_is_a_short_module_unless_its_records_are_more_than_cells() -> None:
    lengths = {
        each.name: len(Path(inspect.getfile(each)).read_text(encoding="utf-8").splitlines()) for each in registry.FORMATS
    }
    assert {name for name, length in lengths.items() if length > SHORT} == LONGER.keys()


def test_a_header_is_offered_to_each() -> None:
    rules = Rules.of(Settings(), datetime.now(UTC))
    for header, name in ((HEADER, "dcgm"), (WIDE_HEADER, "toy-wide"), (b"a,b\n", "unknown")):
        with registered(ToyWide, ToyWideReader):
            found, known = identify(header + b"\n1", max_record=1000, final=True), head(header, rules)
        assert found is not None
        assert found.format_name == (known.reader.name if known else "unknown") == name
    assert registry.recognise([b"time", b"gpu", b"x"], NO_SETTINGS) is None


def test_a_batch_is_named_by_its_format_and_by_what_the_settings_say_of_its_source(tmp_path: Path) -> None:
    names = HEADER.decode().strip().split(",")
    bare = Dcgm.of_header(names, NO_SETTINGS)
    told = Dcgm.of_header(names, SourceSettings(time_zone="Europe/Berlin", labels=(("site", "a"),)))
    assert bare is not None
    assert told is not None
    # An edge that is upgraded in the middle of a file must find its batches, unless the version was raised.
    assert bare.interpretation(LIMITS) == "dcgm/4;floor=1;future=2;series=100000"
    # What the format does not ask for is no part of it.
    more = ';source={"labels":[["site","a"]]}'
    assert told.interpretation(LIMITS) == bare.interpretation(LIMITS) + more
    path = tmp_path / "a.csv"
    for text, says in ((HEADER + b"1\n", "dcgm/4;floor=1;future=2;series=100000;record=1000"), (b"a,b\n1\n", "unknown")):
        path.write_bytes(text)
        source = SourceFile.open(path, max_record=1000, final=True)
        assert source is not None
        with source:
            assert Cutter(source, Reader(1000, LIMITS)).interpretation() == says

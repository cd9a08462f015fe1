"""What a format of CSV files is, and what reading needs beside the bytes.

A format is one module of this package and one line in `registry.FORMATS`. It owns its name and version, how it knows its
header, and how a record becomes readings: one, or many. Nothing outside the format knows its columns. How bytes are split
into records, and how cells are read as times, labels and numbers, stands in modules that formats share.

**When to raise a version.** The id of a batch is made of its bytes and of how they are read: `Format.interpretation`. Whoever
changes what the same bytes mean must raise the version of each format whose readings change. That may be a change here, in a
format, or in any module that a format reads with. With a new version, what an edge reads differently after an upgrade comes as
new batches. With the old one, the centre would take it for what it has stored already. `tests/formats/test_kept.py` reads
files kept for this, and fails when the version was forgotten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from telemetry.formats import records
from telemetry.formats.records import Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.readings.rows import Codes
from telemetry.readings.source_settings import SourceSettings

MAX_SERIES = 100_000
# The name that stands for a format in batches of a file whose header no format knows.
UNKNOWN = "unknown"
# Behind what a file does not say.
SAY_SO = "; say so in the file that TELEMETRY_SOURCE_SETTINGS names"


@dataclass(frozen=True, slots=True)
class Limits:
    """Times that are believed: from `floor_us` (since 1970) up to `future_us` after the time of reading; series of a source."""

    floor_us: int
    future_us: int
    series: int = MAX_SERIES


@dataclass(frozen=True, slots=True)
class Pass:
    """How the times of a block are read: which are believed, the time of reading, and what a replay adds to each.

    `days` are those of the records, counted from the first row of their file, for a format that asks for them.
    """

    limits: Limits
    now_us: int
    shift_us: int = 0
    days: Codes | None = None


class Format(ABC):
    """A format under one header. `columns` names the fields that each record has."""

    name: ClassVar[str]
    version: ClassVar[int]
    # Whether a time may stand before its header: of other formats, a line that begins with one is no header.
    is_stamped: ClassVar[bool] = False
    # For people: how a file of it is recognised, and what the settings of its source must say.
    known_by: ClassVar[str] = ""
    needs: ClassVar[str] = "nothing"

    columns: Sequence[str]
    settings: SourceSettings

    @classmethod
    @abstractmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of these names, stripped of blanks; None if the header belongs to another format."""

    @classmethod
    def miss(cls, names: list[str], settings: SourceSettings) -> str:  # noqa: ARG003 - it may be near to no header
        """What a header with these names lacks to be one of this format, for people; empty if it is not near."""
        return ""

    @abstractmethod
    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning. `taken` is what `split` gave for the same block."""

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line says of the columns what this header says, in another way: such as a second line, of their units.

        False of a line that says something else of them, behind which nothing can be read; None of any other line.
        """
        return None

    @property
    def series_column(self) -> str:
        """The column that makes a new series of nearly each record, empty if none was seen to."""
        return ""

    @property
    def counts_days(self) -> bool:
        """Whether its times carry no date, so that `Pass.days` must say which day a record is of; see `formats.days`."""
        return False

    @property
    def readings_a_record(self) -> int:
        """How many readings a record has at most."""
        return 1

    def interpretation(self, limits: Limits) -> str:
        """How bytes are read under this header: part of a batch's id, so another reading of the same bytes is another batch."""
        bounds = f"floor={limits.floor_us};future={limits.future_us};series={limits.series}"
        return f"{self.name}/{self.version};{bounds}{self.used().interpretation()}"

    def used(self) -> SourceSettings:
        """What of the settings of the source changes what is read: the rest is no part of a batch's id."""
        return self.settings

    def split(self, block: bytes, *, limit: int, max_record: int, final: bool) -> Records:
        """The records at the beginning of a block; see `records.split`, which reads the grammar of docs/RECORDS.md."""
        return records.split(block, columns=len(self.columns), limit=limit, max_record=max_record, final=final)


class ByLines(Format):
    """A format with a fast way through a block, which takes a line for a record. `bound` counts the series it has made."""

    bound: SeriesBound

    @abstractmethod
    def read_lines(self, block: bytes, max_record: int, how: Pass) -> Rows:
        """The records at the beginning of a block, up to the first that only `split` and `read` can read.

        Says of each record what `read` says; no malformed line is among them.
        """

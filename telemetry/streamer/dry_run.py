"""Reads a file as a streamer does and publishes nothing: what it would bring, and what of it would not be read.

It keeps no readings, so its memory does not grow with the file. How a finding is shown is `telemetry.cli.check`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from telemetry.formats.base import Format
from telemetry.formats.blame import Blame, blame, good_record
from telemetry.readings import wire
from telemetry.readings.rows import QuarantinedRow
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from telemetry.streamer.batching import CutBatch, Cutter, Reader
from telemetry.streamer.source import SourceFile

BATCH = 20_000
# The first problems of a file, and of these as many of one reason.
MAX_PROBLEMS, OF_A_REASON = 20, 3
# So much behind a header is looked at for a good record.
LOOKED_AT_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that would go to quarantine or stay unread, and the cell to blame, None where it is not a single one."""

    line: int
    reason: str
    cell: Blame | None
    text: bytes


@dataclass(slots=True)
class Findings:
    """What a file would bring. `formats` are those of its headers, in order; times are microseconds since 1970.

    `blank` counts readings without a value, `unread` physical lines, `quarantined` rows by reason. `why_unread` is empty where
    all of it is read. `torn`: its last line has no line end, so a streamer reads it only when the file is closed.
    """

    path: Path
    formats: list[str] = field(default_factory=list)
    readings: int = 0
    blank: int = 0
    records: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    why_unread: str = ""
    gpus: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    series: int = 0
    series_column: str = ""
    first_us: int | None = None
    last_us: int | None = None
    problems: list[Problem] = field(default_factory=list)
    torn: bool = False

    @property
    def is_read(self) -> bool:
        """Whether all of the file would be read: nothing of it would be unread or go to quarantine."""
        return not (self.unread or self.quarantined)


@dataclass(slots=True)
class DryRun:
    """A dry run by some settings at a time; `progress` is called with the bytes that were read since it was last."""

    settings: Settings
    now_us: int
    progress: Callable[[int], None] = lambda _: None
    # A good record under each header of the file that is read, to compare bad ones with.
    _good: dict[int, bytes] = field(default_factory=dict)

    def read(self, path: Path) -> Findings:
        """What a file would bring. Raises OSError."""
        settings = self.settings
        findings = Findings(path)
        self._good.clear()
        source = SourceFile.open(
            path, max_record=settings.max_record_bytes, final=True, settings=settings.of_source(str(path.resolve()))
        )
        if source is None:
            return findings
        with source:
            if source.head.format is None:
                findings.formats.append("")
                findings.unread, findings.why_unread = source.physical_lines(), source.head.miss
            else:
                self._all(source, findings)
        return findings

    def _all(self, source: SourceFile, findings: Findings) -> None:
        cutter = Cutter(source, Reader.of(self.settings))
        seen: set[str] = set()
        place, size = source.head.first, source.size()
        self._under(source, place.header, findings)
        for batch in cutter.batches(place, limit=min(BATCH, wire.MAX_ROWS), room_bytes=max(1, size), now_us=self.now_us):
            self._count(batch, findings, seen)
            if batch.readings.quarantined:
                self._tell(cutter, batch, findings)
            if batch.extent.end_header != batch.extent.header:
                self._under(source, batch.extent.end_header, findings)
            self.progress(batch.extent.size_bytes)
        findings.series, findings.series_column = len(seen), source.series_column()
        findings.torn = size > 0 and source.read(size - 1, 1) != b"\n"

    @staticmethod
    def _under(source: SourceFile, header: int, findings: Findings) -> None:
        known = source.section(header).format
        if known is None:
            findings.why_unread = findings.why_unread or "no format knows the header above"
        name = known.name if known else ""
        if name not in findings.formats:
            findings.formats.append(name)

    @staticmethod
    def _count(batch: CutBatch, findings: Findings, seen: set[str]) -> None:
        readings = batch.readings
        findings.readings += len(readings.ts_us)
        findings.blank += readings.blank
        findings.records += readings.records
        findings.unread += batch.unread
        findings.quarantined.update(row.reason for row in readings.quarantined)
        for text in readings.series:
            if text not in seen:
                seen.add(text)
                key = SeriesKey.from_text(text)
                findings.gpus.add(key.gpu)
                findings.metrics.add(key.metric)
        if len(readings.ts_us):
            first, last = int(readings.ts_us.min()), int(readings.ts_us.max())
            findings.first_us = first if findings.first_us is None else min(first, findings.first_us)
            findings.last_us = last if findings.last_us is None else max(last, findings.last_us)

    def _tell(self, cutter: Cutter, batch: CutBatch, findings: Findings) -> None:
        """Keep the first problems of a batch, each with the cell to blame."""
        counts = Counter(problem.reason for problem in findings.problems)
        for row in batch.readings.quarantined:
            if len(findings.problems) < MAX_PROBLEMS and counts[row.reason] < OF_A_REASON:
                counts[row.reason] += 1
                findings.problems.append(Problem(row.line, row.reason, self._blame(cutter, batch, row), row.raw))

    def _blame(self, cutter: Cutter, batch: CutBatch, row: QuarantinedRow) -> Blame | None:
        extent, how = batch.extent, cutter.reader.reading(self.now_us)
        known = self._apart(cutter.source, extent.header)
        if known is None:
            return None
        if extent.header not in self._good:
            start = extent.header or cutter.source.head.end
            block = cutter.source.read(start, LOOKED_AT_BYTES)
            self._good[extent.header] = good_record(known, block, cutter.reader.max_record, how) or b""
        return blame(known, row.raw, row.reason, self._good[extent.header], how)

    @staticmethod
    def _apart(source: SourceFile, header: int) -> Format | None:
        """The format under a header once more, as one that is tried out learns of series that are none."""
        known = source.section(header).format
        return known and (type(known).of_header(list(known.columns), source.settings) or known)

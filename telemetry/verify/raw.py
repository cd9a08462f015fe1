"""Counts the lines of files against the rows of the database, without a rule of what a record, a time or a value is.

A line that holds anything is one, but for the first and its repetitions, which are taken for the header. A GPU belongs to a
file in which its UUID, or its host and index, stand as cells. A rule that the product and `compare` have in common, and that
both have wrong, shows here as a difference. It fits files with one reading a line, whose GPUs no other file tells of.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from telemetry.verify.contents import opened
from telemetry.verify.formats.grammar import Bytes

_CELLS = re.compile(rb'[,;\t|"]')
_GPUS = text("SELECT id, uuid, host, gpu_index FROM gpus")
# Days that are being sealed have their rows in a partition until they have arrays.
_SAMPLES = text("""
    WITH chosen AS (SELECT id FROM series WHERE gpu_id = ANY(:gpus))
    SELECT (SELECT count(*) FROM samples WHERE series_id IN (SELECT id FROM chosen))
        + (SELECT count(*) FROM late WHERE series_id IN (SELECT id FROM chosen))
        + (SELECT coalesce(sum(n), 0)::bigint FROM sealed WHERE series_id IN (SELECT id FROM chosen))
""")
_CONFLICTS = text("SELECT count(*) FROM conflicts WHERE series_id IN (SELECT id FROM series WHERE gpu_id = ANY(:gpus))")
_QUARANTINED = text("""
    SELECT q.digest, count(*) FROM quarantine q JOIN sources s ON s.id = q.source_id
    WHERE s.path = ANY(:paths) GROUP BY q.digest
""")
_LEDGER = text("""
    SELECT s.id, l.start_offset, l.end_offset, l.blank, l.duplicate, l.expired
    FROM ledger l JOIN sources s ON s.id = l.source_id
    WHERE s.path = ANY(:paths) AND l.anchor IS NULL AND l.status = 'stored' ORDER BY l.committed_at
""")


@dataclass(slots=True)
class Lines:
    """The lines of some files: how many there are, and how often each stands there, by its digest."""

    number: int = 0
    digests: Counter[bytes] = field(default_factory=Counter)

    @property
    def repeated(self) -> int:
        """How many lines stand there already."""
        return self.number - len(self.digests)


class Raw(NamedTuple):
    """How many lines there are, and where they are: as rows of the database, or by what the ledger says of them."""

    gpus: int
    lines: int
    repeated: int
    samples: int
    quarantined: int
    conflict: int
    blank: int
    duplicate: int
    expired: int

    @property
    def unaccounted(self) -> int:
        """Lines that are nowhere; negative where the database has more rows than the files have lines."""
        rows = self.samples + self.quarantined + self.conflict + self.blank + self.expired
        return self.lines - rows - max(self.repeated, self.duplicate)


def count(connection: Connection, paths: Sequence[Path], names: Sequence[str]) -> Raw:
    """Count the lines of files, and the rows of the database under their names there. Raises OSError and database errors."""
    gpus = [tuple(row) for row in connection.execute(_GPUS)]
    lines, gpu_ids = Lines(), set[int]()
    for path in paths:
        _read(path, lines, gpus, gpu_ids)
    of_files = {"paths": list(names)}
    ids = {"gpus": sorted(gpu_ids)}
    quarantined = sum(min(number, lines.digests[bytes(mark)]) for mark, number in connection.execute(_QUARANTINED, of_files))
    blank, duplicate, expired = _totals(connection.execute(_LEDGER, of_files))
    return Raw(
        gpus=len(gpu_ids),
        lines=lines.number,
        repeated=lines.repeated,
        samples=int(connection.scalar(_SAMPLES, ids) or 0),
        quarantined=quarantined,
        conflict=int(connection.scalar(_CONFLICTS, ids) or 0),
        blank=blank,
        duplicate=duplicate,
        expired=expired,
    )


def _read(path: Path, lines: Lines, gpus: Iterable[tuple[Any, ...]], gpu_ids: set[int]) -> None:
    """Count the lines of a file, and find the GPUs that its cells name."""
    by_uuid = {uuid.encode(): gpu for gpu, uuid, _, _ in gpus if uuid}
    by_place = {(host.encode(), str(index).encode()): gpu for gpu, uuid, host, index in gpus if host and not uuid}
    hosts, header = {host for host, _ in by_place}, None
    with opened(path) as data:
        for line in _lines(data):
            header = line if header is None else header
            if line == header:
                continue
            lines.number += 1
            lines.digests[hashlib.sha256(line).digest()[:16]] += 1
            cells = {cell.strip() for cell in _CELLS.split(line)}
            gpu_ids |= {by_uuid[cell] for cell in cells & by_uuid.keys()}
            gpu_ids |= {by_place[host, cell] for host in cells & hosts for cell in cells if (host, cell) in by_place}


def _lines(data: Bytes) -> Iterator[bytes]:
    """The lines that hold anything, without their ends."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        line = bytes(data[at : len(data) if end < 0 else end]).rstrip(b"\r")
        at = len(data) if end < 0 else end + 1
        if line.strip():
            yield line


def _totals(rows: Iterable[Any]) -> tuple[int, int, int]:
    """Blank readings, duplicates and expired ones, by the first batch of each place: what was read again counts once."""
    blank = duplicate = expired = 0
    counted: dict[int, list[tuple[int, int]]] = {}
    for source, start, end, blanks, duplicates, expireds in rows:
        ranges = counted.setdefault(source, [])
        at = bisect(ranges, (start, end))
        if (not at or ranges[at - 1][1] <= start) and (at == len(ranges) or end <= ranges[at][0]):
            ranges.insert(at, (start, end))
            blank, duplicate, expired = blank + blanks, duplicate + duplicates, expired + expireds
    return blank, duplicate, expired

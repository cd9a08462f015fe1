"""What became of the rows that `telemetry ingest` has sent, and how it is told.

What was quarantined, blank or dead follows from the acknowledgements. What was new, known, in conflict or expired only the
ledger knows, which an edge may be unable to ask: then these counts are None, and the text says where to ask.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from telemetry.cli.quantities import counted
from telemetry.progress.evidence import PROBE
from telemetry.progress.losses import LostRange
from telemetry.settings import Settings
from telemetry.streamer.outbox import Message, Publish
from telemetry.streamer.tally import Read

# Of readings that nobody was asked about, or nobody could tell of.
NO_COUNTS: dict[str, int | None] = dict.fromkeys(("new", "known", "conflict", "expired"))


class Failed(NamedTuple):
    """A file that was not read to its end, and why."""

    path: str
    why: str


class Unread(NamedTuple):
    """What of a file was not read: how many physical lines, and why."""

    path: str
    lines: int
    why: str


@dataclass(slots=True)
class Published:
    """Publishes messages, and keeps the ids of their batches, each with the sources that had it."""

    publish: Publish
    _sources: dict[str, set[str]] = field(default_factory=dict)

    def __call__(self, messages: Iterable[Message]) -> None:
        """Publish messages."""
        self.publish(self._noted(messages))

    def copies(self) -> dict[str, int]:
        """How many sources had each batch: files of the same bytes have the same batches."""
        return {batch_id: len(sources) for batch_id, sources in self._sources.items()}

    def _noted(self, messages: Iterable[Message]) -> Iterator[Message]:
        for header, payload in messages:
            if not header["batch_id"].startswith(PROBE):
                self._sources.setdefault(header["batch_id"], set()).add(header["source"]["id"])
            yield header, payload


class Ledger:
    """The ledger, from the moment at which this is made: what it has by then is known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._centre = _centre()
        self._since: datetime | None = self._centre.now(settings) if self._centre else None

    def counts(self, copies: dict[str, int]) -> dict[str, int | None]:
        """Readings by class; None for each if it cannot tell."""
        settled = self._centre.counts(self._settings, copies, self._since) if self._centre and self._since else None
        return asdict(settled) if settled else NO_COUNTS


@dataclass(frozen=True, slots=True)
class Ingested:
    """The outcome of one call. Counts that nobody here can know are None, all of them if it did not wait for the commits.

    `rows` leaves out what was not read: of that `unread` counts the physical lines, and `foreign` names the files of which
    nothing was read. `left` names those whose last record is not complete yet; `failed` those that could not be read.
    """

    files: int
    rows: int
    seconds: float
    committed: bool
    new: int | None
    known: int | None
    conflict: int | None
    expired: int | None
    blank: int | None
    quarantined: int | None
    reasons: dict[str, int]
    dead_rows: int
    dead_batches: int
    unread: int
    foreign: list[str]
    left: list[str]
    gaps: list[Unread]
    failed: list[Failed]
    lost: list[LostRange]

    @property
    def is_held(self) -> bool:
        """Whether the database is known to hold all of the files in some form: as readings, in quarantine, or as a conflict.

        Only the ledger knows whether something is expired: where it cannot be asked, nobody knows.
        """
        return self.committed and self._is_whole and self.expired == 0

    @property
    def is_success(self) -> bool:
        """Whether nothing failed or is unread, left, lost or dead, and no reading has another value than the stored one."""
        return self._is_whole and not self.conflict

    @property
    def _is_whole(self) -> bool:
        return not (self.dead_batches or self.unread or self.left or self.failed or self.lost)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            **asdict(self),
            "gaps": [gap._asdict() for gap in self.gaps],
            "failed": [failed._asdict() for failed in self.failed],
            "lost": [msgspec.structs.asdict(lost) for lost in self.lost],
        }

    def text(self) -> str:
        """For people."""
        became = "committed" if self.committed else "published"
        first = f"{counted(self.rows, 'row')} of {counted(self.files, 'file')} {became} in {self.seconds} s"
        lines = [f"{first}: {', '.join(self._classes())}" if self.committed else first]
        if self.committed and self.new is None:
            lines.append(
                "what of them was new, known, in conflict or expired is known at the centre: run telemetry verify there"
            )
        if self.conflict:
            lines.append(
                f"{counted(self.conflict, 'reading')} had another value than the stored one, which stays: "
                "telemetry verify shows them"
            )
        if self.expired:
            lines.append(
                f"{counted(self.expired, 'reading')} {'is' if self.expired == 1 else 'are'} EXPIRED, older than what the "
                "database keeps, and not stored: telemetry db retention shows since when it keeps readings"
            )
        if self.dead_batches:
            lines.append(
                f"{self.dead_rows:,} of them in {counted(self.dead_batches, 'batch', 'batches')} are DEAD: "
                "see telemetry deadletter list"
            )
        lines += [
            f"{counted(gap.lines, 'line')} of {gap.path} {'was' if gap.lines == 1 else 'were'} not read: {gap.why}"
            for gap in self.gaps
        ]
        lines += [
            f"the last record of {path} is not complete and was left, as the file changed a moment ago: --final reads it"
            for path in self.left
        ]
        lines += [f"{path} was not read to its end: {why}" for path, why in self.failed]
        lines += [f"bytes {lost.start:,} to {lost.end:,} of {lost.path} are LOST: {lost.reason}" for lost in self.lost]
        return "\n".join(lines)

    def _classes(self) -> Iterator[str]:
        if self.new is not None:
            yield f"{self.new:,} new"
            yield f"{self.known:,} known"
        if self.conflict:
            yield f"{self.conflict:,} in conflict"
        if self.expired:
            yield f"{self.expired:,} expired"
        if self.blank:
            yield f"{self.blank:,} blank"
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in self.reasons.items())
        yield f"{self.quarantined:,} in quarantine{f' ({reasons})' if reasons else ''}"
        if self.unread:
            yield f"{self.unread:,} unread"


def outcome(
    reads: Collection[Read],
    foreign: Mapping[str, Unread],
    left: list[str],
    failed: list[Failed],
    lost: list[LostRange],
    counts: dict[str, int | None],
    *,
    of: int,
    seconds: float,
    committed: bool,
) -> Ingested:
    """The outcome, by what was read of sources and the ids of those that are foreign; and what the ledger says.

    `of` is how many files were given.
    """
    gaps = [*foreign.values()]
    gaps += [
        Unread(read.path, read.tally.unread, "no format knows the header above them")
        for read in reads
        if read.tally.unread and read.source_id not in foreign
    ]
    tallies = [read.tally for read in reads if read.source_id not in foreign]
    reasons = sum((tally.quarantined for tally in tallies), Counter[str]())
    return Ingested(
        files=of,
        rows=sum(tally.rows_read for tally in tallies),
        seconds=round(seconds, 3),
        committed=committed,
        **counts,
        blank=sum(tally.blank for tally in tallies) if committed else None,
        quarantined=reasons.total() if committed else None,
        reasons=dict(reasons.most_common()) if committed else {},
        dead_rows=sum(read.tally.dead_rows for read in reads),
        dead_batches=sum(read.tally.dead_batches for read in reads),
        unread=sum(gap.lines for gap in gaps),
        foreign=[source.path for source in foreign.values()],
        left=left,
        gaps=gaps,
        failed=failed,
        lost=lost,
    )


def _centre() -> ModuleType | None:
    try:
        return importlib.import_module("telemetry.cli.centre")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("telemetry"):
            raise
        return None

"""What became of the rows that `telemetry ingest` has sent, and how it is told.

What was quarantined, blank or dead follows from the acknowledgements. What was new, known or in conflict only the ledger
knows, which an edge may be unable to ask: then these counts are None, and the text says where to ask.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any, NamedTuple

from telemetry.cli.quantities import counted
from telemetry.progress.evidence import PROBE
from telemetry.settings import Settings
from telemetry.streamer.outbox import Message, Publish
from telemetry.streamer.tally import Tally

# Of readings that nobody was asked about, or nobody could tell of.
NO_COUNTS: dict[str, int | None] = dict.fromkeys(("new", "known", "conflict"))


class Foreign(NamedTuple):
    """A file whose header no format knows, and how many physical lines it has."""

    path: str
    lines: int


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

    `rows` leaves out what was not read: of that `unread` counts the physical lines, and `foreign` names the files.
    """

    files: int
    rows: int
    seconds: float
    committed: bool
    new: int | None
    known: int | None
    conflict: int | None
    blank: int | None
    quarantined: int | None
    reasons: dict[str, int]
    dead_rows: int
    dead_batches: int
    unread: int
    foreign: dict[str, int]

    @property
    def is_held(self) -> bool:
        """Whether the database holds all of the files in some form: as readings, in quarantine, or as a conflict."""
        return self.committed and not (self.dead_batches or self.unread)

    @property
    def is_success(self) -> bool:
        """Whether nothing is unread or dead, and no reading has another value than the stored one."""
        return not (self.dead_batches or self.unread or self.conflict)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "foreign": list(self.foreign)}

    def text(self) -> str:
        """For people."""
        became = "committed" if self.committed else "published"
        first = f"{counted(self.rows, 'row')} of {counted(self.files, 'file')} {became} in {self.seconds} s"
        lines = [f"{first}: {', '.join(self._classes())}" if self.committed else first]
        if self.committed and self.new is None:
            lines.append("what of them was new, known or in conflict is known at the centre: run telemetry verify there")
        if self.conflict:
            lines.append(
                f"{counted(self.conflict, 'reading')} had another value than the stored one, which stays: "
                "telemetry verify shows them"
            )
        if self.dead_batches:
            lines.append(
                f"{self.dead_rows:,} of them in {counted(self.dead_batches, 'batch', 'batches')} are DEAD: "
                "see telemetry deadletter list"
            )
        lines += [
            f"{counted(number, 'line')} of {path} {'was' if number == 1 else 'were'} not read: no format knows its header"
            for path, number in self.foreign.items()
        ]
        return "\n".join(lines)

    def _classes(self) -> Iterator[str]:
        if self.new is not None:
            yield f"{self.new:,} new"
            yield f"{self.known:,} known"
        if self.conflict:
            yield f"{self.conflict:,} in conflict"
        if self.blank:
            yield f"{self.blank:,} blank"
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in self.reasons.items())
        yield f"{self.quarantined:,} in quarantine{f' ({reasons})' if reasons else ''}"
        if self.unread:
            yield f"{self.unread:,} unread"


def outcome(
    files: int,
    tallies: Mapping[str, Tally],
    foreign: Mapping[str, Foreign],
    counts: dict[str, int | None],
    *,
    seconds: float,
    committed: bool,
) -> Ingested:
    """The outcome, from the tallies of all sources, the foreign ones among them, by id, and what the ledger says."""
    read = [tally for name, tally in tallies.items() if name not in foreign]
    reasons = sum((tally.quarantined for tally in read), Counter[str]())
    return Ingested(
        files=files,
        rows=sum(tally.rows_read for tally in read),
        seconds=round(seconds, 3),
        committed=committed,
        **counts,
        blank=sum(tally.blank for tally in read) if committed else None,
        quarantined=reasons.total() if committed else None,
        reasons=dict(reasons.most_common()) if committed else {},
        dead_rows=sum(tally.dead_rows for tally in tallies.values()),
        dead_batches=sum(tally.dead_batches for tally in tallies.values()),
        unread=sum(source.lines for source in foreign.values()),
        foreign={source.path: source.lines for source in foreign.values()},
    )


def _centre() -> ModuleType | None:
    try:
        return importlib.import_module("telemetry.cli.centre")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("telemetry"):
            raise
        return None

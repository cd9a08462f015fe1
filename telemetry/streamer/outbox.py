"""What of one source waits to be published, and how it goes out: as messages, each counted once the queue has taken it.

What is published and when is decided in `stream`, what again in `telemetry.progress.evidence`;
how messages reach the broker is `publish`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from telemetry.monitoring.counters import stations
from telemetry.progress.evidence import PROBE, Probe
from telemetry.progress.history import Question, Spot
from telemetry.progress.window import Window
from telemetry.readings import wire
from telemetry.readings.digests import wire_path
from telemetry.readings.extent import Extent
from telemetry.readings.rows import Readings
from telemetry.streamer import clock
from telemetry.streamer.batching import CutBatch
from telemetry.streamer.source import SourceFile

Message = tuple[dict[str, Any], bytes]
Publish = Callable[[Iterable[Message]], None]


@dataclass(slots=True)
class Outbox:
    """The batches of a source that are in its window and that the queue has not taken yet, and the probe that is out."""

    edge: str
    source: SourceFile
    source_id: str
    publish: Publish
    # With the word for their publication: one that was refused stays what it was.
    _waiting: dict[str, tuple[str, CutBatch]] = field(default_factory=dict)
    _probe: Probe | None = None

    def is_empty(self) -> bool:
        """Whether everything went out."""
        return not self._waiting

    def add(self, publication: str, cuts: Iterable[CutBatch]) -> None:
        """Let batches wait for `send`."""
        for each in cuts:
            self._waiting.setdefault(each.batch_id, (publication, each))

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def send(self, window: Window, anchor_us: int | None, now_us: int) -> None:
        """Publish what waits and is still in the window; what an error leaves waits for the next time."""
        if not self._waiting:
            return
        first_published = {flight.batch_id: flight.first_published_us for flight in window.flights}
        self._publish(
            (publication, self._batch(each, anchor_us, first_published[batch_id], now_us))
            for batch_id, (publication, each) in self._waiting.items()
            if batch_id in first_published
        )
        self._waiting.clear()

    def ask(self, window: Window, anchor_us: int | None, now_us: int, after_s: float) -> None:
        """Send a probe after batches that are overdue while nothing tells whether they are lost or late."""
        now = clock.now()
        if not window.overdue(now, after_s) or (self._probe and not self._probe.is_due_again(now, after_s)):
            return
        tries = self._probe.tries + 1 if self._probe else 1
        self._probe = Probe(PROBE + token_hex(16), now.seconds, tries)
        self._send_empty(self._probe.batch_id, Spot(window.committed, window.line), anchor_us, now_us)

    def put(self, question: Question, anchor_us: int | None, now_us: int) -> None:
        """Send a question to the centre."""
        self._send_empty(question.batch_id, question.spot, anchor_us, now_us)

    def answered(self, acked: Iterable[str]) -> list[float]:
        """When the probe was sent that is among the acknowledged, if it is."""
        if self._probe is None or self._probe.batch_id not in acked:
            return []
        sent_s, self._probe = self._probe.sent_s, None
        return [sent_s]

    def _send_empty(self, batch_id: str, spot: Spot, anchor_us: int | None, now_us: int) -> None:
        extent = Extent(spot.offset, spot.offset, spot.line, spot.line)
        empty = CutBatch(batch_id, extent, Readings.of_quarantined([]))
        self._publish([("probe", self._batch(empty, anchor_us, now_us, now_us))])

    def _publish(self, batches: Iterable[tuple[str, wire.Batch]]) -> None:
        taken: list[tuple[dict[str, Any], str]] = []

        def encoded() -> Iterator[Message]:
            for publication, batch in batches:
                message = wire.encode(batch)
                taken.append((message[0], publication))
                yield message

        self.publish(encoded())
        for header, publication in taken:
            stations.published(header, publication)

    def _batch(self, each: CutBatch, anchor_us: int | None, published_us: int, now_us: int) -> wire.Batch:
        head = self.source.head
        return wire.Batch(
            edge=self.edge,
            batch_id=each.batch_id,
            source=wire.Source(
                id=self.source_id,
                path=wire_path(self.source.path),
                fingerprint=head.fingerprint,
                format=head.format_name,
                anchor=anchor_us,
            ),
            start=each.extent.start,
            end=each.extent.end,
            first_line=each.extent.line,
            read_at_us=now_us,
            published_at_us=published_us,
            readings=each.readings,
        )

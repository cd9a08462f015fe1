"""Makes streams of files: by the settings, from where the registry says that each was left, under whatever name.

Which files, and when, and what is done with a stream is `streamer`'s business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import redis

from telemetry import broker
from telemetry.formats.base import Limits
from telemetry.progress.registry import Registry, State
from telemetry.readings.digests import source_id
from telemetry.settings import Settings
from telemetry.streamer.batching import Reader
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.outbox import Outbox, Publish
from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import GONE, Lose, Stream

# A replay waits for the clock instead of turning away what lies ahead of it; but nobody waits for that long.
REPLAY_FUTURE_LIMIT_US = 30 * 86_400 * 1_000_000

Known = Callable[[], dict[str, State]]
Drop = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opening:
    """What every stream of a streamer is given."""

    settings: Settings
    client: redis.Redis
    registry: Registry
    lose: Lose

    def stream(self, source: SourceFile, publish: Publish) -> Stream:
        """A stream of a file, not claimed yet."""
        settings = self.settings
        name = source_id(source.head.fingerprint, str(source.path))
        return Stream(
            registry=self.registry,
            lose=self.lose,
            source=source,
            source_id=name,
            mode=self._mode(source),
            outbox=Outbox(settings.edge, source, name, publish),
            window_bytes=settings.window_bytes,
            after_s=settings.republish_after_s,
        )

    def take(self, stream: Stream, known: Known, drop: Drop) -> bool:
        """Claim a stream, as the continuation of one whose file was renamed if it is that. False if another holds it."""
        return self._adopt(stream, known(), drop) and stream.take(now_us=broker.now_us(self.client))

    def take_remain(self, name: str, state: State, publish: Publish) -> Stream | None:
        """Claim what is left of a source whose file is gone, to see it committed or lost. None if that cannot be."""
        source = SourceFile.gone(Path(state["path"]), state["fingerprint"])
        stream = self.stream(source, publish)
        stream.lost_to = GONE
        taken = False
        try:
            taken = stream.source_id == name and stream.take(now_us=broker.now_us(self.client))
        finally:
            if not taken:
                source.close()
        return stream if taken else None

    def _mode(self, source: SourceFile) -> Tail | Replay:
        settings = self.settings
        future_us = REPLAY_FUTURE_LIMIT_US if settings.loop_mode else settings.future_limit_s * 1_000_000
        limits = Limits(int(settings.timestamp_floor.timestamp()) * 1_000_000, future_us)
        reader = Reader(settings.max_record_bytes, limits)
        if settings.loop_mode:
            return Replay(source, reader, settings.batch_size)
        return Tail(source, reader, settings.batch_size, settings.catch_up_size, settings.window_bytes)

    def _adopt(self, stream: Stream, known: dict[str, State], drop: Drop) -> bool:
        """Let a renamed file go on under its new name. False while another streamer still works on it.

        `known` is kept in step: of two files that begin the same only one may go on from where one that is gone was left.
        """
        if stream.source_id in known:
            return True
        for old_id, state in known.items():
            if state["fingerprint"] != stream.source.head.fingerprint:
                continue
            if state["inode"] == list(stream.source.identity()) or not Path(state["path"]).exists():
                drop(old_id)
                claim = self.registry.claim(old_id, state)
                if claim is None:
                    return False
                moved = {**(claim.state or state), "path": str(stream.source.path)}
                self.registry.move(replace(claim, state=moved), stream.source_id)
                known[stream.source_id] = moved
                del known[old_id]
                return True
        return True

"""Makes streams of files: by the settings, from where the state of each source ends, under whatever name the file has now.

Which files, and when, and what is done with a stream is decided in `tick`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path

import redis
from msgspec.structs import replace

from telemetry import broker
from telemetry.progress.claims import Claims
from telemetry.progress.losses import LostRange
from telemetry.progress.state import SourceState
from telemetry.readings.digests import source_id
from telemetry.settings import Settings
from telemetry.streamer.batching import Reader
from telemetry.streamer.contents import Bench
from telemetry.streamer.holes import Holes
from telemetry.streamer.modes import Replay, Tail
from telemetry.streamer.orphan import Orphan
from telemetry.streamer.outbox import Outbox, Publish
from telemetry.streamer.phase import GONE, READING, Phase
from telemetry.streamer.pool import Pool
from telemetry.streamer.shared import Shared
from telemetry.streamer.source import SourceFile
from telemetry.streamer.stream import Stream
from telemetry.streamer.whereabouts import has_its_file

# A replay waits for the clock instead of turning away what lies ahead of it; but nobody waits for that long.
REPLAY_FUTURE_LIMIT_US = 30 * 86_400 * 1_000_000

Known = Callable[[], dict[str, SourceState]]
Drop = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What every stream of a streamer is given."""

    settings: Settings
    client: redis.Redis
    claims: Claims
    lose: Callable[[LostRange], None]
    bench: Bench
    pool: Pool | None = None

    def open(self, path: str, known: Known, *, final: bool) -> SourceFile | None:
        """Open a file; None if it does not hold a whole record yet. One without a header inherits that of the file before it.

        Raises OSError.
        """
        settings = self.settings
        at_path = partial(
            SourceFile.open,
            Path(path),
            max_record=settings.max_record_bytes,
            final=final,
            settings=settings.of_source(path),
            bench=self.bench,
        )
        source = at_path()
        if source is None or source.head.format or not settings.inherit_headers:
            return source
        # A renamed one goes on by what it was read by.
        of_it = (each.header for each in known().values() if each.fingerprint == source.head.fingerprint and each.header)
        inherited = next(of_it, "").encode() or self.claims.header(path)
        if not inherited:
            return source
        source.close()
        return at_path(inherited=inherited)

    def stream(self, source: SourceFile, publish: Publish, phase: Phase = READING, kind: type[Stream] = Stream) -> Stream:
        """A stream of a file, not claimed yet."""
        settings = self.settings
        name = source_id(source.head.fingerprint, str(source.path))
        return kind(
            claims=self.claims,
            lose=self.lose,
            source=source,
            source_id=name,
            mode=self._mode(source),
            outbox=Outbox(settings.edge, source, name, publish),
            window_bytes=settings.window_bytes,
            after_s=settings.republish_after_s,
            holes=Holes(settings.close_after_s),
            phase=phase,
        )

    def take(self, stream: Stream, known: Known, drop: Drop) -> bool:
        """Claim a stream; if its file was renamed, it goes on where the old name ended. False if another holds it.

        The states of all sources are `known`; they are asked for only where the file's own id has none.
        """
        if not stream.source.is_plain:
            self._forget_foreign(stream, known())
        is_known = self.claims.has_state(stream.source_id)
        return (is_known or self._adopt(stream, known(), drop)) and stream.take(self._now_us)

    def take_orphan(self, name: str, state: SourceState, publish: Publish) -> Stream | None:
        """Claim a source whose file is gone, to see it committed or lost. None if that cannot be."""
        source = SourceFile.gone(Path(state.path), state.fingerprint)
        may_be_elsewhere = bool(self.settings.broker_urls) and state.anchor_us is None
        stream = self.stream(source, publish, GONE, Orphan if may_be_elsewhere else Stream)
        taken = False
        try:
            taken = stream.source_id == name and stream.take(self._now_us)
        finally:
            if not taken:
                source.close()
        return stream if taken else None

    def _forget_foreign(self, stream: Stream, known: dict[str, SourceState]) -> None:
        """Forget that nobody could read a file: it was damaged, or such files were not read by an earlier version."""
        path = str(stream.source.path)
        for name in [name for name, state in known.items() if state.foreign and state.path == path]:
            self.claims.forget(name)
            del known[name]

    def former_id(self, known: Mapping[str, SourceState], source: SourceFile) -> str | None:
        """The id of the known source that a file goes on with; that of the name it was packed from, if there are several."""
        names = former(known, source, self.settings)
        path = str(source.path)
        return min(names, key=lambda name: (not path.startswith(known[name].path), name), default=None)

    def _now_us(self) -> int:
        return broker.now_us(self.client)

    def _mode(self, source: SourceFile) -> Tail | Replay:
        settings = self.settings
        reader = Reader.of(settings, REPLAY_FUTURE_LIMIT_US if settings.loop_mode else None)
        if settings.loop_mode:
            return Replay(source, reader, settings.batch_size)
        shared = Shared(source, reader, self.pool) if self.pool else None
        return Tail(source, reader, settings.batch_size, settings.catch_up_size, settings.window_bytes, shared)

    def _adopt(self, stream: Stream, known: dict[str, SourceState], drop: Drop) -> bool:
        """Let a renamed file go on under its new name. False while another streamer still works on it.

        `known` is kept in step: of two files that begin the same only one may go on from where a missing file ended.
        """
        old_id = self.former_id(known, stream.source)
        if stream.source_id in known or old_id is None:
            return True
        drop(old_id)
        claim = self.claims.claim(old_id, known[old_id])
        if claim is None:
            return False
        moved = replace(claim.state or known[old_id], path=str(stream.source.path))
        if stream.source.version not in (None, moved.packed):
            # Packed meanwhile: nobody knows yet whether that is all of it.
            moved = replace(moved, size_bytes=max(moved.size_bytes, moved.window.end + 1))
        self.claims.move(with_fields(claim, state=moved), stream.source_id)
        known[stream.source_id] = moved
        del known[old_id]
        return True


def former(known: Mapping[str, SourceState], source: SourceFile, settings: Settings) -> Iterator[str]:
    """The ids of the known sources that a file may have been under another name, or before it was packed."""
    fingerprint, inode = source.head.fingerprint, source.inode()
    for name, state in known.items():
        if state.fingerprint == fingerprint and (
            state.inode == inode
            or not Path(state.path).exists()
            # Another file may have the name by now: that of the log that is written on.
            or (source.is_packed and not has_its_file(state, settings))
        ):
            yield name

"""Turns sources into ids: a bounded cache over bulk inserts that many collectors may do at once.

New rows of `sources` are committed in a short transaction of their own and cached only after it: a batch that fails later
leaves no id in the cache that is not in the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

from telemetry.readings.digests import wire_path
from telemetry.readings.wire import Source

INSERT_SOURCES = text("""
    INSERT INTO sources (edge, path, fingerprint, format)
    SELECT * FROM unnest(CAST(:edge AS text[]), CAST(:path AS text[]), CAST(:fingerprint AS text[]), CAST(:format AS text[]))
    ON CONFLICT (edge, fingerprint, path) DO NOTHING
""")
SELECT_SOURCES = text("""
    SELECT edge, fingerprint, path, id FROM sources
    JOIN unnest(CAST(:edge AS text[]), CAST(:path AS text[]), CAST(:fingerprint AS text[])) AS k (edge, path, fingerprint)
         USING (edge, fingerprint, path)
""")

# Edge, fingerprint, path: what a source is unique by.
SourceKey = tuple[str, str, str]


class SourceIds:
    """The ids of sources that one process has looked up."""

    def __init__(self, engine: Engine, cache_size: int) -> None:
        self._engine = engine
        self._cache_size = cache_size
        self._cache: dict[SourceKey, int] = {}

    def forget(self) -> None:
        """Empty the cache: a renewed connection may lead to a database that has other ids."""
        self._cache = {}

    def resolve(self, sources: Sequence[tuple[str, Source]]) -> list[int]:
        """The ids of sources, each given with its edge. New sources are inserted."""
        # An edge of before may send a path that is too long for an index.
        keys = [(edge, source.fingerprint, wire_path(source.path)) for edge, source in sources]
        cache = self._cache
        if any(key not in cache for key in keys):
            new = {key: source for key, (_, source) in zip(keys, sources, strict=True) if key not in cache}
            if len(cache) + len(new) > self._cache_size:
                cache = self._cache = {key: cache[key] for key in keys if key in cache}
            cache |= self._insert(new)
            if self._cache is not cache:
                # A renewed connection has emptied the cache: the ids resolved before it may be of another database.
                return self.resolve(sources)
        return [cache[key] for key in keys]

    def _insert(self, new: dict[SourceKey, Source]) -> dict[SourceKey, int]:
        # In order, as in every insert that many collectors do at once: two that lock the same rows must not deadlock.
        keys = sorted(new)
        columns = {
            "edge": [edge for edge, _, _ in keys],
            "path": [path for _, _, path in keys],
            "fingerprint": [fingerprint for _, fingerprint, _ in keys],
        }
        with self._engine.begin() as connection:
            connection.execute(INSERT_SOURCES, columns | {"format": [new[key].format for key in keys]})
        # Another transaction has another snapshot, which has the rows that others committed meanwhile.
        with self._engine.begin() as connection:
            rows = connection.execute(SELECT_SOURCES, columns).all()
        return {(edge, fingerprint, path): int(source_id) for edge, fingerprint, path, source_id in rows}

"""Turns series texts into series ids: a bounded cache over bulk inserts that many collectors may do at once.

New rows of `metrics`, `gpus` and `series` are committed in a short transaction of their own, each kind in sorted order, and
cached only after it: a batch that fails later leaves nothing cached that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, text

from telemetry.readings.catalogue import lookup
from telemetry.readings.series import DRIVER_VERSION, MIG_INSTANCE, SeriesKey, labels_digest
from telemetry.readings.wire import Source, WireError

INSERT_METRICS = text("""
    INSERT INTO metrics (name, unit, description, kind)
    SELECT * FROM unnest(CAST(:name AS text[]), CAST(:unit AS text[]), CAST(:description AS text[]), CAST(:kind AS text[]))
    ON CONFLICT (name) DO NOTHING
""")
INSERT_GPUS = text("""
    INSERT INTO gpus AS g (identity, uuid, host, gpu_index, device, model, driver_version)
    SELECT * FROM unnest(CAST(:identity AS text[]), CAST(:uuid AS text[]), CAST(:host AS text[]), CAST(:index AS int[]),
                         CAST(:device AS text[]), CAST(:model AS text[]), CAST(:driver AS text[]))
    ON CONFLICT (identity) DO UPDATE SET
        host = coalesce(EXCLUDED.host, g.host), gpu_index = coalesce(EXCLUDED.gpu_index, g.gpu_index),
        device = coalesce(EXCLUDED.device, g.device), model = coalesce(EXCLUDED.model, g.model),
        driver_version = coalesce(EXCLUDED.driver_version, g.driver_version)
    WHERE (coalesce(EXCLUDED.host, g.host), coalesce(EXCLUDED.gpu_index, g.gpu_index),
           coalesce(EXCLUDED.device, g.device), coalesce(EXCLUDED.model, g.model),
           coalesce(EXCLUDED.driver_version, g.driver_version))
        IS DISTINCT FROM (g.host, g.gpu_index, g.device, g.model, g.driver_version)
""")
INSERT_SERIES = text("""
    INSERT INTO series (gpu_id, metric_id, labels_digest, mig_instance, container, pod, namespace, labels)
    SELECT g.id, m.id, decode(k.digest, 'hex'), k.labels ->> :mig, k.labels ->> 'container', k.labels ->> 'pod',
           k.labels ->> 'namespace', k.labels
    FROM json_to_recordset(CAST(:keys AS json)) AS k (gpu text, metric text, digest text, labels jsonb)
    JOIN gpus g ON g.identity = k.gpu JOIN metrics m ON m.name = k.metric
    ORDER BY g.id, m.id, k.digest
    ON CONFLICT (gpu_id, metric_id, labels_digest) DO NOTHING
""")
SELECT_SERIES = text("""
    SELECT k.n, s.id
    FROM json_to_recordset(CAST(:keys AS json)) AS k (n int, gpu text, metric text, digest text)
    JOIN gpus g ON g.identity = k.gpu JOIN metrics m ON m.name = k.metric
    JOIN series s ON (s.gpu_id, s.metric_id, s.labels_digest) = (g.id, m.id, decode(k.digest, 'hex'))
""")
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

SourceKey = tuple[str, str, str]
Ids = NDArray[np.int64]


class Registry:
    """The ids one collector process knows."""

    def __init__(self, engine: Engine, volatile: Collection[str], cache_size: int) -> None:
        self._engine = engine
        self._volatile = frozenset(volatile)
        self._cache_size = cache_size
        self._series: dict[str, int] = {}
        self._sources: dict[tuple[str, str, str], int] = {}

    def forget(self) -> None:
        """Drop all that is cached: a renewed connection may lead to a database that has forgotten."""
        self._series = {}
        self._sources = {}

    def series_ids(self, texts: Sequence[Sequence[str]]) -> list[Ids]:
        """The ids of the series texts of each of some batches. Raises WireError for a text that is no series."""
        found = [list(map(self._series.get, some)) for some in texts]
        if any(None in ids for ids in found):
            wanted = dict.fromkeys(each for some in texts for each in some)
            unknown = [each for each in wanted if each not in self._series]
            if len(self._series) + len(unknown) > self._cache_size:
                self._series = {each: self._series[each] for each in wanted if each in self._series}
            known = self._series
            known |= self._find_series(unknown)
            if self._series is not known:
                # A renewed connection has emptied the cache: what we held may be unknown there.
                return self.series_ids(texts)
            found = [[known[each] for each in some] for some in texts]
        return [np.array(ids, np.int64) for ids in found]

    def source_ids(self, sources: Sequence[tuple[str, Source]]) -> list[int]:
        """The ids of sources, each with its edge; those that are new are made."""
        keys = [(edge, source.fingerprint, source.path) for edge, source in sources]
        known = self._sources
        if any(key not in known for key in keys):
            new = {key: source for key, (_, source) in zip(keys, sources, strict=True) if key not in known}
            if len(known) + len(new) > self._cache_size:
                known = self._sources = {key: known[key] for key in keys if key in known}
            known |= self._make_sources(new)
            if self._sources is not known:
                return self.source_ids(sources)
        return [known[key] for key in keys]

    def _make_sources(self, new: dict[SourceKey, Source]) -> dict[SourceKey, int]:
        # In order, as for all that many collectors make at once: two that lock the same rows must not wait for each other.
        keys = sorted(new)
        columns = {
            "edge": [edge for edge, _, _ in keys],
            "path": [path for _, _, path in keys],
            "fingerprint": [fingerprint for _, fingerprint, _ in keys],
        }
        with self._engine.begin() as connection:
            connection.execute(INSERT_SOURCES, columns | {"format": [new[key].format for key in keys]})
        with self._engine.begin() as connection:
            found = connection.execute(SELECT_SOURCES, columns).all()
        return {(edge, fingerprint, path): int(source_id) for edge, fingerprint, path, source_id in found}

    def _find_series(self, texts: list[str]) -> dict[str, int]:
        """The ids of series by text, made if they are new."""
        try:
            keys = [SeriesKey.from_text(each) for each in texts]
        except ValueError as error:
            raise WireError(str(error)) from None
        lasting = [key.lasting(self._volatile) for key in keys]
        wanted: list[dict[str, Any]] = [
            {"n": n, "gpu": key.gpu, "metric": key.metric, "digest": labels_digest(labels).hex()}
            for n, (key, labels) in enumerate(zip(keys, lasting, strict=True))
        ]
        with self._engine.begin() as connection:
            found = _select_series(connection, wanted)
            # Also of series that are there: a volatile label may say something new of them.
            _insert_gpus(connection, keys)
            # Seldom: each process asks for each series once, and to insert what is there costs more than all else.
            if new := [each for n, each in enumerate(wanted) if n not in found]:
                _insert_metrics(connection, [keys[each["n"]] for each in new])
                documents = [each | {"labels": lasting[each["n"]]} for each in new]
                connection.execute(INSERT_SERIES, {"keys": _json(documents), "mig": MIG_INSTANCE})
                # Another statement has another snapshot, which has the rows that others committed meanwhile.
                found |= _select_series(connection, new)
        return {each: found[n] for n, each in enumerate(texts)}


def _select_series(connection: Connection, wanted: list[dict[str, Any]]) -> dict[int, int]:
    return {n: int(series_id) for n, series_id in connection.execute(SELECT_SERIES, {"keys": _json(wanted)})}


def _json(documents: list[dict[str, Any]]) -> str:
    return json.dumps(documents, ensure_ascii=False, separators=(",", ":"))


def _insert_metrics(connection: Connection, keys: list[SeriesKey]) -> None:
    metrics = [lookup(name) for name in sorted({key.metric for key in keys})]
    columns = ("name", "unit", "description", "kind")
    connection.execute(INSERT_METRICS, {column: [getattr(metric, column) for metric in metrics] for column in columns})


def _insert_gpus(connection: Connection, keys: list[SeriesKey]) -> None:
    told = {key.gpu: key for key in keys}
    gpus = [told[identity] for identity in sorted(told)]
    connection.execute(
        INSERT_GPUS,
        {
            "identity": [key.gpu for key in gpus],
            "uuid": [key.uuid or None for key in gpus],
            "host": [key.host or None for key in gpus],
            "index": [key.index for key in gpus],
            "device": [key.device or None for key in gpus],
            "model": [key.model or None for key in gpus],
            "driver": [key.labels.get(DRIVER_VERSION) for key in gpus],
        },
    )

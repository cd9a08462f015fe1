"""Turns series texts into series ids and uses: a bounded cache over bulk inserts that many collectors may do at once.

New rows of `metrics`, `gpus` and `series` are committed in a short transaction of their own, each kind in sorted order, and
cached only after it: a batch that fails later leaves no id in the cache that is not in the table.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, text

from telemetry.readings.arrays import Int64s
from telemetry.readings.catalogue import lookup
from telemetry.readings.series import DRIVER_VERSION, MIG_INSTANCE, SeriesKey, labels_digest
from telemetry.readings.wire import WireError
from telemetry.store.write.use_ids import Use, UseIds

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
# A series of before owners were taken out of the identity goes on as what it is, so that nothing of it is stored twice. It
# comes last, and counts. See docs/decisions/0007-owners-are-intervals.md.
SELECT_SERIES = text("""
    SELECT k.n, s.id
    FROM json_to_recordset(CAST(:keys AS json)) AS k (n int, gpu text, metric text, digest text, owned text)
    JOIN gpus g ON g.identity = k.gpu JOIN metrics m ON m.name = k.metric
    JOIN series s ON (s.gpu_id, s.metric_id) = (g.id, m.id)
        AND s.labels_digest = ANY(ARRAY[decode(k.digest, 'hex'), decode(k.owned, 'hex')])
        AND (s.of_owner OR s.labels_digest = decode(k.digest, 'hex'))
    ORDER BY s.of_owner
""")


# Ids of series, of which there are a billion at most, and uses beside each other in 63 bits.
ID_BITS = 40
ID_MASK = (1 << ID_BITS) - 1


class Resolved(NamedTuple):
    """For the series of each batch: their ids, and which of `uses` each is of."""

    ids: list[Int64s]
    of: list[Int64s]
    uses: Sequence[Use]


class SeriesIds:
    """The ids of series that one process has looked up.

    `volatile` and `owner` name labels that are no part of a series: those that may change, and those that say who used the GPU.
    """

    def __init__(self, engine: Engine, volatile: Collection[str], owner: Collection[str], cache_size: int) -> None:
        self._engine = engine
        self._volatile = frozenset(volatile)
        self._passing = self._volatile | frozenset(owner)
        self._use_ids = UseIds(engine, owner)
        self._cache_size = cache_size
        # The use and the id of each text in one number: a second look at each text would cost as much as all of allocations.
        self._cache: dict[str, int] = {}

    def forget(self) -> None:
        """Empty the cache: a renewed connection may lead to a database that has other ids."""
        self._cache = {}
        self._use_ids.forget()

    def resolve(self, texts: Sequence[Sequence[str]]) -> Resolved:
        """The ids and uses of the series texts of some batches. New series and owners are inserted.

        Raises WireError for a text that does not describe a series.
        """
        both = [list(map(self._cache.get, batch)) for batch in texts]
        if any(None in batch for batch in both):
            distinct = list(dict.fromkeys(series for batch in texts for series in batch))
            new = [series for series in distinct if series not in self._cache]
            if len(self._cache) + len(new) > self._cache_size:
                self.forget()
                new = distinct
            cache = self._cache
            cache |= self._find(new)
            if self._cache is not cache:
                # A renewed connection has emptied the cache: the ids resolved before it may be of another database.
                return self.resolve(texts)
            both = [[cache[series] for series in batch] for batch in texts]
        numbers = [np.array(batch, np.int64) for batch in both]
        return Resolved([each & ID_MASK for each in numbers], [each >> ID_BITS for each in numbers], self._use_ids.uses)

    def _find(self, texts: list[str]) -> dict[str, int]:
        """Use and id of series by text. New series are inserted, with their metrics and GPUs."""
        try:
            keys = [SeriesKey.from_text(series) for series in texts]
        except ValueError as error:
            raise WireError(str(error)) from None
        lasting = [key.lasting(self._passing) for key in keys]
        documents: list[dict[str, Any]] = [
            {"n": n, "gpu": key.gpu, "metric": key.metric, "digest": labels_digest(labels).hex()}
            | {"owned": labels_digest(key.lasting(self._volatile)).hex()}
            for n, (key, labels) in enumerate(zip(keys, lasting, strict=True))
        ]
        with self._engine.begin() as connection:
            ids = _select_series(connection, documents)
            # Also for series that exist: a volatile label may say something new about the GPU.
            _insert_gpus(connection, keys)
            # Seldom: each process asks for each series once, and inserting rows that exist would cost more than all the rest.
            if new := [document for n, document in enumerate(documents) if n not in ids]:
                _insert_metrics(connection, [keys[document["n"]] for document in new])
                labelled = [document | {"labels": lasting[document["n"]]} for document in new]
                connection.execute(INSERT_SERIES, {"keys": _json(labelled), "mig": MIG_INSTANCE})
                # Another statement has another snapshot, which has the rows that others committed meanwhile.
                ids |= _select_series(connection, new)
        uses = self._use_ids.find(keys)
        return {series: (uses[n] << ID_BITS) + ids[n] for n, series in enumerate(texts)}


def _select_series(connection: Connection, documents: list[dict[str, Any]]) -> dict[int, int]:
    return {n: int(series_id) for n, series_id in connection.execute(SELECT_SERIES, {"keys": _json(documents)})}


def _json(documents: list[dict[str, Any]]) -> str:
    return json.dumps(documents, ensure_ascii=False, separators=(",", ":"))


def _insert_metrics(connection: Connection, keys: list[SeriesKey]) -> None:
    metrics = [lookup(name) for name in sorted({key.metric for key in keys})]
    columns = ("name", "unit", "description", "kind")
    connection.execute(INSERT_METRICS, {column: [getattr(metric, column) for metric in metrics] for column in columns})


def _insert_gpus(connection: Connection, keys: list[SeriesKey]) -> None:
    # The last key of each GPU: later readings know more.
    by_identity = {key.gpu: key for key in keys}
    gpus = [by_identity[identity] for identity in sorted(by_identity)]
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

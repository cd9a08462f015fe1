"""Turns series texts into series ids and uses: a bounded cache over bulk inserts that many collectors may do at once.

New rows of `metrics`, `gpus` and `series` are committed in a short transaction of their own, each kind in sorted order, and
cached only after it: a batch that fails later leaves no id in the cache that is not in the table.
"""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, text

from telemetry.readings.arrays import Int64s
from telemetry.readings.catalogue import lookup
from telemetry.readings.owners import owner
from telemetry.readings.series import DRIVER_VERSION, MIG_INSTANCE, SeriesKey, labels_digest
from telemetry.readings.tellers import HELD
from telemetry.readings.wire import WireError
from telemetry.store import rules
from telemetry.store.rules import Rule
from telemetry.store.write import gpu_places
from telemetry.store.write.gpu_places import Mention
from telemetry.store.write.stretches import Asked, Content, Stretch, of_readings, stretches
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
    SELECT g.gpu_id, m.id, decode(k.digest, 'hex') || g.told_as,
           k.labels ->> :mig, k.labels ->> 'container', k.labels ->> 'pod', k.labels ->> 'namespace', k.labels
    FROM json_to_recordset(CAST(:keys AS json)) AS k (gpu text, metric text, digest text, labels jsonb)
    JOIN series_gpus g ON g.identity = k.gpu JOIN metrics m ON m.name = k.metric
    ORDER BY 1, 2, 3
    ON CONFLICT (gpu_id, metric_id, labels_digest) DO NOTHING
""")
# A series of before owners were taken out of the identity goes on as what it is, so that nothing of it is stored twice. It
# comes last, and counts. See docs/decisions/0007-owners-are-intervals.md.
SELECT_SERIES = text("""
    SELECT k.n, s.id
    FROM json_to_recordset(CAST(:keys AS json)) AS k (n int, gpu text, metric text, digest text, owned text)
    JOIN series_gpus g ON g.identity = k.gpu JOIN metrics m ON m.name = k.metric
    JOIN series s ON (s.gpu_id, s.metric_id) = (g.gpu_id, m.id)
        AND s.labels_digest = ANY(ARRAY[decode(k.digest, 'hex') || g.told_as, decode(k.owned, 'hex') || g.told_as])
        AND (s.of_owner OR s.labels_digest = decode(k.digest, 'hex') || g.told_as)
    ORDER BY s.of_owner
""")


# An edge, and the number of a rule.
Key = tuple[str, int]
# A cache that is full again so soon is too small for the series that are being written; one that fills over weeks is not.
SOON_S = 60.0
TOO_SMALL = (
    "more series are written than the %d that this process remembers, so most of them are looked up again and again: "
    "raise TELEMETRY_SERIES_CACHE_SIZE"
)
log = logging.getLogger(__name__)

# Ids of series, of which there are a billion at most, and uses beside each other in 63 bits.
ID_BITS = 40
ID_MASK = (1 << ID_BITS) - 1


class Resolved(NamedTuple):
    """For the readings of each batch: the ids of their series, and which of `uses` each is of. `rule`: the latest one known.

    `of_spans` are the series whose readings tell of a span of time.
    """

    ids: list[Int64s]
    of: list[Int64s]
    uses: Sequence[Use]
    rule: int
    of_spans: Collection[int] = ()


class SeriesIds:
    """The ids of series that one process has looked up. `settings` are written down where the database has no rule yet."""

    def __init__(self, engine: Engine, settings: Rule, cache_size: int) -> None:
        self._engine = engine
        self._settings = settings
        self._use_ids = UseIds(engine)
        self._cache_size = cache_size
        self._full_s, self._has_warned = -math.inf, False
        self.forget()

    def forget(self) -> None:
        """Empty the cache: a renewed connection may lead to a database that has other ids."""
        # By edge and rule the use and the id of each text in one number: a second look at each text would cost as much as all
        # of allocations.
        self._cache: dict[Key, dict[str, int]] = {}
        self._rules: list[Rule] = []
        self._of_spans: set[int] = set()
        self._use_ids.forget()

    def resolve(self, contents: Sequence[Content]) -> Resolved:
        """The ids and uses of the readings of some contents. New series and owners are inserted.

        Raises WireError for a text that does not describe a series.
        """
        known = self._known_rules()
        cache = self._cache
        parts = [stretches(content, known) for content in contents]
        if new := self._unknown(parts):
            if not self._has_room({stretch.key for of in parts for stretch in of}, len(new)):
                self.forget()
                self._rules, cache = known, self._cache
                new = self._unknown(parts)
            for asked, number in zip(new, self._find(new), strict=True):
                cache.setdefault((asked.edge, asked.rule.number), {})[asked.text] = number
            if self._cache is not cache:
                # A renewed connection has emptied the cache: the ids resolved before it may be of another database.
                return self.resolve(contents)
        numbers = [[self._numbers(stretch) for stretch in of_content] for of_content in parts]
        ids = [[each & ID_MASK for each in of_content] for of_content in numbers]
        uses = [[each >> ID_BITS for each in of_content] for of_content in numbers]
        return Resolved(
            [of_readings(*each) for each in zip(contents, parts, ids, strict=True)],
            [of_readings(*each) for each in zip(contents, parts, uses, strict=True)],
            self._use_ids.uses,
            known[-1].number,
            self._of_spans,
        )

    def _has_room(self, needed: Collection[Key], new: int) -> bool:
        """Whether so many new series fit, once those of some other edges are forgotten; of these nothing else is.

        Which edges is drawn: edges come in turn, so the one that was seen longest ago is likely to be the next.
        """
        if max(len(self._use_ids.uses), len(self._of_spans)) > self._cache_size:
            return False
        excess = sum(map(len, self._cache.values())) + new - self._cache_size
        if excess > 0:
            self._tell()
            others = [key for key in self._cache if key not in needed]
            random.shuffle(others)
            while excess > 0 and others:
                excess -= len(self._cache.pop(others.pop()))
        return excess <= 0

    def _tell(self) -> None:
        """Warn, once, when the cache is full again soon after it was."""
        now_s = time.monotonic()
        if now_s - self._full_s < SOON_S and not self._has_warned:
            log.warning(TOO_SMALL, self._cache_size)
            self._has_warned = True
        self._full_s = now_s

    def _unknown(self, parts: Iterable[Iterable[Stretch]]) -> list[Asked]:
        """What of some batches is not in the cache, each once."""
        new: dict[tuple[str, int, str], Asked] = {}
        for stretch in chain.from_iterable(parts):
            cache = self._cache.get(stretch.key, {})
            if None in map(cache.get, stretch.texts):
                new |= {(*stretch.key, asked.text): asked for asked in stretch.asked if asked.text not in cache}
        return list(new.values())

    def _numbers(self, stretch: Stretch) -> Int64s:
        cache = self._cache.get(stretch.key, {})
        return np.array([cache[text] for text in stretch.texts], np.int64)

    def _known_rules(self) -> list[Rule]:
        if not self._rules:
            with self._engine.begin() as connection:
                known = rules.load(connection, self._settings)
            self._rules = known
        return self._rules

    def _find(self, asked: Sequence[Asked]) -> list[int]:
        """Use and id of some series in one number each. New series are inserted, with their metrics and GPUs."""
        try:
            keys = [SeriesKey.from_text(one.text) for one in asked]
        except ValueError as error:
            raise WireError(str(error)) from None
        lasting = [key.lasting(one.rule.passing) for key, one in zip(keys, asked, strict=True)]
        mentions = [Mention(one.edge, one.fingerprint, key) for key, one in zip(keys, asked, strict=True)]
        with self._engine.begin() as connection:
            gpus = gpu_places.identities(connection, mentions)
            documents: list[dict[str, Any]] = [
                {"n": n, "gpu": gpu, "metric": key.metric, "digest": labels_digest(labels).hex()}
                | {"owned": labels_digest(key.lasting(one.rule.volatile)).hex()}
                for n, (gpu, key, one, labels) in enumerate(zip(gpus, keys, asked, lasting, strict=True))
            ]
            ids = _select_series(connection, documents)
            # Also for series that exist: a volatile label may say something new about the GPU.
            _insert_gpus(connection, dict(zip(gpus, keys, strict=True)))
            gpu_places.insert(connection, zip(mentions, gpus, strict=True))
            # Seldom: each process asks for each series once, and inserting rows that exist would cost more than all the rest.
            if new := [document for n, document in enumerate(documents) if n not in ids]:
                _insert_metrics(connection, [keys[document["n"]] for document in new])
                labelled = [document | {"labels": lasting[document["n"]]} for document in new]
                connection.execute(INSERT_SERIES, {"keys": _json(labelled), "mig": MIG_INSTANCE})
                # Another statement has another snapshot, which has the rows that others committed meanwhile.
                ids |= _select_series(connection, new)
        self._of_spans.update(ids[n] for n, key in enumerate(keys) if key.metric in HELD)
        owners = [owner(key.labels, one.rule.owner) for key, one in zip(keys, asked, strict=True)]
        instances = [key.labels.get(MIG_INSTANCE, "") for key in keys]
        uses = self._use_ids.find(gpus, instances, owners)
        return [(use << ID_BITS) + ids[n] for n, use in enumerate(uses)]


def _select_series(connection: Connection, documents: list[dict[str, Any]]) -> dict[int, int]:
    return {n: int(series_id) for n, series_id in connection.execute(SELECT_SERIES, {"keys": _json(documents)})}


def _json(documents: list[dict[str, Any]]) -> str:
    return json.dumps(documents, ensure_ascii=False, separators=(",", ":"))


def _insert_metrics(connection: Connection, keys: list[SeriesKey]) -> None:
    metrics = [lookup(name) for name in sorted({key.metric for key in keys})]
    columns = ("name", "unit", "description", "kind")
    connection.execute(INSERT_METRICS, {column: [getattr(metric, column) for metric in metrics] for column in columns})


def _insert_gpus(connection: Connection, gpus: dict[str, SeriesKey]) -> None:
    """Make GPUs by identity, or renew what is known of them; their rows are locked from here on."""
    order = sorted(gpus.items())
    connection.execute(
        INSERT_GPUS,
        {
            "identity": [identity for identity, _ in order],
            "uuid": [key.uuid or None for _, key in order],
            "host": [key.host or None for _, key in order],
            "index": [key.index for _, key in order],
            "device": [key.device or None for _, key in order],
            "model": [key.model or None for _, key in order],
            "driver": [key.labels.get(DRIVER_VERSION) for _, key in order],
        },
    )

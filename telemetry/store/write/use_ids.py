"""Turns series texts into uses: which GPU (or MIG instance) is used by which owner. New owners are inserted.

Rows of `owners` are committed in a short transaction of their own and cached only after it, like those of `series_ids`, which
has made the GPUs. An owner without labels stands for nobody. A use is a number within one process.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, TextClause, text

from telemetry.readings import owners
from telemetry.readings.arrays import Int64s
from telemetry.readings.series import MIG_INSTANCE, SeriesKey, labels_digest

INSERT_OWNERS = text("""
    INSERT INTO owners (digest, namespace, pod, container, job, "user", account, labels)
    SELECT decode(k.digest, 'hex'), k.namespace, k.pod, k.container, k.job, k."user", k.account, k.labels
    FROM json_to_recordset(CAST(:owners AS json))
         AS k (digest text, namespace text, pod text, container text, job text, "user" text, account text, labels jsonb)
    ORDER BY k.digest
    ON CONFLICT (digest) DO NOTHING
""")
SELECT_OWNERS = text("SELECT encode(digest, 'hex'), id FROM owners WHERE digest = ANY(CAST(:digests AS bytea[]))")
SELECT_GPUS = text("SELECT identity, id FROM gpus WHERE identity = ANY(CAST(:gpus AS text[]))")


class Use(NamedTuple):
    """A GPU by its number, or an instance of it (empty: the whole), and an owner by its number."""

    gpu_id: int
    instance: str
    owner_id: int


class UseIds:
    """The uses that one process has met. `names` are the labels that say who uses a GPU."""

    def __init__(self, engine: Engine, names: Collection[str], cache_size: int) -> None:
        self._engine = engine
        self._names = frozenset(names)
        self._cache_size = cache_size
        self.forget()

    def forget(self) -> None:
        """Empty the cache: a renewed connection may lead to a database that has other ids."""
        self._cache: dict[str, int] = {}
        self.uses: list[Use] = []
        self._numbers: dict[Use, int] = {}

    def resolve(self, texts: Sequence[Sequence[str]]) -> list[Int64s]:
        """The use that each series text of some batches is of, as its place in `uses`. Their GPUs are in the database."""
        cache = self._cache
        new = list(dict.fromkeys(text for batch in texts for text in batch if text not in cache))
        if new:
            if len(cache) + len(new) > self._cache_size:
                self.forget()
                return self._resolved(texts, list(dict.fromkeys(text for batch in texts for text in batch)))
            return self._resolved(texts, new)
        return [np.array([cache[text] for text in batch], np.int64) for batch in texts]

    def _resolved(self, texts: Sequence[Sequence[str]], new: list[str]) -> list[Int64s]:
        cache = self._cache
        found = self._find(new)
        if self._cache is not cache:
            # A renewed connection has emptied the cache: what was found before it may be of another database.
            return self.resolve(texts)
        for series, use in zip(new, found, strict=True):
            number = cache[series] = self._numbers.setdefault(use, len(self.uses))
            if number == len(self.uses):
                self.uses.append(use)
        return [np.array([cache[text] for text in batch], np.int64) for batch in texts]

    def _find(self, texts: list[str]) -> list[Use]:
        keys = [SeriesKey.from_text(series) for series in texts]
        labels = [owners.owner(key.labels, self._names) for key in keys]
        digests = [labels_digest(of).hex() for of in labels]
        distinct = dict(zip(digests, labels, strict=True))
        with self._engine.begin() as connection:
            gpus = {"gpus": sorted({key.gpu for key in keys})}
            gpu_ids = _numbers(connection, SELECT_GPUS, gpus)
            asked = {"digests": [bytes.fromhex(digest) for digest in distinct]}
            ids = _numbers(connection, SELECT_OWNERS, asked)
            if len(ids) < len(distinct):
                documents = [
                    {"digest": digest, "labels": of} | owners.parts(of) for digest, of in distinct.items() if digest not in ids
                ]
                connection.execute(INSERT_OWNERS, {"owners": json.dumps(documents)})
                # Another statement has another snapshot, which has the rows that others committed meanwhile.
                ids = _numbers(connection, SELECT_OWNERS, asked)
        return [
            Use(gpu_ids[key.gpu], key.labels.get(MIG_INSTANCE, ""), ids[digest])
            for key, digest in zip(keys, digests, strict=True)
        ]


def _numbers(connection: Connection, query: TextClause, columns: dict[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in connection.execute(query, columns)}

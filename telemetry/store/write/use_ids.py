"""Turns series into uses: which GPU (or MIG instance) is used by which owner. New owners are inserted.

Rows of `owners` are committed in a short transaction of their own, like those of `series_ids`, which has made the GPUs and
remembers the use of each series text. An owner without labels stands for nobody. A use is a number within one process.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, TextClause, text

from telemetry.readings import owners
from telemetry.readings.series import labels_digest

INSERT_OWNERS = text("""
    INSERT INTO owners (digest, namespace, pod, container, job, "user", account, labels)
    SELECT decode(k.digest, 'hex'), k.namespace, k.pod, k.container, k.job, k."user", k.account, k.labels
    FROM json_to_recordset(CAST(:owners AS json))
         AS k (digest text, namespace text, pod text, container text, job text, "user" text, account text, labels jsonb)
    ORDER BY k.digest
    ON CONFLICT (digest) DO NOTHING
""")
SELECT_OWNERS = text("SELECT encode(digest, 'hex'), id FROM owners WHERE digest = ANY(CAST(:digests AS bytea[]))")
SELECT_GPUS = text("SELECT identity, gpu_id FROM series_gpus WHERE identity = ANY(CAST(:gpus AS text[]))")


class Use(NamedTuple):
    """A GPU by its number, or an instance of it (empty: the whole), and an owner by its number."""

    gpu_id: int
    instance: str
    owner_id: int


class UseIds:
    """The uses that one process has met."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.forget()

    def forget(self) -> None:
        """Begin anew: a renewed connection may lead to a database that has other ids."""
        self.uses: list[Use] = []
        self._numbers: dict[Use, int] = {}

    def find(self, gpus: Sequence[str], instances: Sequence[str], labels: Sequence[dict[str, str]]) -> list[int]:
        """The uses of GPUs that are in the database, by instance and labels of the owner; each as its place in `uses`."""
        digests = [labels_digest(of).hex() for of in labels]
        with self._engine.begin() as connection:
            gpu_ids = _numbers(connection, SELECT_GPUS, {"gpus": sorted(set(gpus))})
            owner_ids = _owner_ids(connection, dict(zip(digests, labels, strict=True)))
        uses = [
            Use(gpu_ids[gpu], instance, owner_ids[digest])
            for gpu, instance, digest in zip(gpus, instances, digests, strict=True)
        ]
        for use in uses:
            if self._numbers.setdefault(use, len(self.uses)) == len(self.uses):
                self.uses.append(use)
        return [self._numbers[use] for use in uses]


def _owner_ids(connection: Connection, labels: dict[str, dict[str, str]]) -> dict[str, int]:
    """The ids of owners by digest; new ones are inserted."""
    asked = {"digests": [bytes.fromhex(digest) for digest in labels]}
    ids = _numbers(connection, SELECT_OWNERS, asked)
    if len(ids) < len(labels):
        new = [{"digest": digest, "labels": of} | owners.parts(of) for digest, of in labels.items() if digest not in ids]
        connection.execute(INSERT_OWNERS, {"owners": json.dumps(new)})
        # Another statement has another snapshot, which has the rows that others committed meanwhile.
        ids = _numbers(connection, SELECT_OWNERS, asked)
    return ids


def _numbers(connection: Connection, query: TextClause, columns: dict[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in connection.execute(query, columns)}

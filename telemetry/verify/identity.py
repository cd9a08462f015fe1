"""Which series of the database a reading belongs to, beside what its row says: by its time, and by who told of its file.

The rules of labels change with time, and a GPU without a UUID is one for each edge that tells of its host and index. Which
rules and edges there are, `queries` asks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import Connection

from telemetry.verify import queries
from telemetry.verify.files import File, Longs, SeriesNumbers
from telemetry.verify.formats.base import Rules, SeriesKey


def keys(connection: Connection, files: Sequence[File], numbers: SeriesNumbers, rules: Rules) -> tuple[list[SeriesKey], Longs]:
    """The distinct keys by which the database knows the readings of some files; the place of each reading's, -1 for none."""
    gpus = queries.gpus_of(connection, [file.fingerprint for file in files], sorted({key.gpu for key in numbers.keys}))
    listed, since = list(numbers.keys), np.array(rules.since)
    known: dict[SeriesKey, int] = {}
    places = []
    for file in files:
        named = file.series >= 0
        under = (np.searchsorted(since, file.ts, "right") - 1) * len(listed) if len(since) > 1 else 0
        codes = np.where(named, under + file.series, len(since) * len(listed))
        # The last place is that of readings without a series.
        of_code = np.full(len(since) * len(listed) + 1, -1, np.int64)
        of_code[codes] = 0
        of_code[-1] = -1
        for code in np.flatnonzero(of_code == 0).tolist():
            rule, number = divmod(code, len(listed))
            key = listed[number].under(rule)
            key = key._replace(gpu=gpus.get((file.fingerprint, key.gpu), key.gpu))
            of_code[code] = known.setdefault(key, len(known))
        places.append(of_code[codes])
    return list(known), np.concatenate(places)

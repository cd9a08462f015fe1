"""Puts days of an archive back into a database, by the way that all readings take: each one ends in a class.

A GPU that the database knows keeps what is known of it, as that is younger than the archive. Of one that it does not know, all
that the archive says is told to it. A day below the floor of retention is expired as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine

from telemetry.archive import checking, files, manifests
from telemetry.archive.files import Group
from telemetry.archive.manifests import Manifest
from telemetry.archive.places import ArchiveError, Place
from telemetry.readings.arrays import Int64s
from telemetry.readings.names import INGEST
from telemetry.readings.rows import Readings
from telemetry.readings.series import DRIVER_VERSION, SeriesKey
from telemetry.readings.wire import Source
from telemetry.settings import Settings
from telemetry.store.partitions import DAY_US
from telemetry.store.upkeep.units import EPOCH
from telemetry.store.write.conflicts import Origin
from telemetry.store.write.returning import Classes, Returner
from telemetry.store.write.source_ids import SourceIds
from telemetry.store.write.stretches import Content

# Readings of one transaction.
CHUNK_ROWS = 100_000
FORMAT = "archive"
EDGE = f"{INGEST}/{FORMAT}"
# What tells one series text from another.
TOLD = (*files.KEY, "owner")


class Returned(NamedTuple):
    """A day that was read back, and what became of its samples; `why` it could not be read."""

    day: date
    samples: int
    classes: Classes
    why: str = ""


class Archive:
    """Reads an archive back into one database."""

    def __init__(self, settings: Settings, engine: Engine, place: Place) -> None:
        self._place = place
        self._returner = Returner(settings, engine)
        self._sources = SourceIds(engine, settings.series_cache_size)
        self._driver_is_volatile = DRIVER_VERSION in settings.volatile_labels
        # By what a GPU is told as, whether the database knew it when it was met first.
        self._known: dict[str, bool] = {}

    def days(self, since: date | None, until: date | None) -> list[date]:
        """The days that the archive has from one to another, both included."""
        return [day for day in manifests.days(self._place) if (since or date.min) <= day <= (until or date.max)]

    def give_back(self, day: date) -> Returned:
        """Store a day. One that is damaged is left as a whole."""
        try:
            manifest = manifests.there(self._place, day)
            if (day - EPOCH).days * DAY_US < self._returner.floor_us():
                # The floor is the begin of a day.
                return Returned(day, manifest.content.samples, Classes(expired=manifest.content.samples))
            checking.intact(self._place, manifest)
        except ArchiveError as error:
            return Returned(day, 0, Classes(), str(error))
        return Returned(day, manifest.content.samples, self._give_back(manifest))

    def _give_back(self, manifest: Manifest) -> Classes:
        name = manifest.sha256[:32]
        source = Source(name, f"{self._place.shown}/{manifest.file}", name, FORMAT, None)
        origin, classes = Origin(self._sources.resolve([(EDGE, source)])[0], name), Classes()
        with self._place.open(manifest.file) as stream:
            for group in files.groups(stream):
                for start in range(0, len(group.ts_us), CHUNK_ROWS):
                    contents = list(self._contents(group, slice(start, start + CHUNK_ROWS), name))
                    classes = classes.plus(self._returner.store(contents, origin))
        self._returner.finish()
        return classes

    def _contents(self, group: Group, rows: slice, fingerprint: str) -> Iterator[Content]:
        """Some rows of a group as readings, by the edges that told of their GPUs."""
        columns = {name: codes[rows] for name, (codes, _) in group.texts.items()}
        ts_us, values = group.ts_us[rows], group.values[rows]
        begins = files.starts(*(columns[name] for name in TOLD))
        facts: list[dict[str, Any]] = [
            {name: _text(group, name, int(columns[name][row])) for name in columns} | {"index": int(group.index[rows][row])}
            for row in begins
        ]
        self._meet(facts)
        of = np.repeat(np.arange(len(begins)), np.diff([*begins, len(ts_us)]))
        edges = [(fact["edges"] or EDGE).split(" ")[0] for fact in facts]
        texts = [self._series_text(fact) for fact in facts]
        for edge in sorted(set(edges)):
            chosen: Int64s = np.flatnonzero(np.array([each == edge for each in edges])[of])
            own = sorted({text for text, each in zip(texts, edges, strict=True) if each == edge})
            places = {text: place for place, text in enumerate(own)}
            codes = np.array([places.get(text, -1) for text in texts], np.int64)[of[chosen]]
            yield Content(edge, fingerprint, Readings(own, codes, ts_us[chosen], values[chosen], 0, [], len(chosen)))

    def _meet(self, facts: Sequence[dict[str, Any]]) -> None:
        if new := {fact["told_as"] for fact in facts} - self._known.keys():
            known = self._returner.known_gpus(sorted(new))
            self._known |= {gpu: gpu in known for gpu in new}

    def _series_text(self, fact: dict[str, Any]) -> str:
        """A series as an edge would tell of it. Of a GPU that is known nothing is said but which it is."""
        uuid, is_known = fact["uuid"] or "", self._known[fact["told_as"]]
        host, index = fact["host"] or "", None if fact["index"] < 0 else int(fact["index"])
        labels = json.loads(fact["labels"]) | json.loads(fact["owner"] or "{}")
        if not is_known and self._driver_is_volatile and fact["driver_version"]:
            labels.setdefault(DRIVER_VERSION, fact["driver_version"])
        if is_known and uuid:
            host, index = "", None
        device, model = ("", "") if is_known else (fact["device"] or "", fact["model"] or "")
        return SeriesKey(fact["metric"], uuid, host, index, device, model, labels).text()


def _text(group: Group, name: str, code: int) -> str | None:
    return None if code < 0 else group.texts[name][1][code]

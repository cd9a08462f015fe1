"""Reads what NVIDIA's Fleet Intelligence agent writes offline: a row of metrics, or of events, to its reading.

Owns the two headers and the labels, which are JSON. What a metric is called, and how a message names a GPU, is the catalogue's.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from typing import Any, ClassVar, Self

from telemetry.readings import fleetint
from telemetry.readings.catalogue import lookup
from telemetry.verify.formats.base import FormatReader, Reading, Rules
from telemetry.verify.formats.dcgm import LONGEST_NAME, is_placeholder, without_sentinels
from telemetry.verify.formats.grammar import FIELD, cells, grammar, text
from telemetry.verify.formats.timestamps import microseconds
from telemetry.verify.formats.values import number

_XID = re.compile(r"XID ([0-9]{1,4})(?:\.[0-9]+)?(?![0-9A-Za-z_])")
_HEX = "[0-9a-f]"
_UUID = re.compile(rf"(?<![0-9A-Za-z_])GPU-{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}(?![0-9A-Za-z_])")
_PLACE = re.compile(r"(?<![0-9A-Za-z_])PCI:([0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?![0-9A-Za-z_])")


class _FiveColumns(FormatReader):
    """What the two share: five columns, the first of them a time."""

    header: ClassVar[tuple[str, ...]]

    def __init__(self, names: tuple[str, ...], rules: Rules) -> None:
        self.pattern = re.compile(rb"(%b,%b,%b,%b,%b)" % ((FIELD,) * 5) + grammar(",").end)
        self._names, self.rules = names, rules

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header of exactly these columns."""
        return cls(names, rules) if len(names) == len(cls.header) and set(names) == set(cls.header) else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        row = dict(zip(self._names, cells(pieces[0]), strict=True))
        ts = self.rules.judged(microseconds(text(row["timestamp"]).encode()))
        return [Reading(ts)] if isinstance(ts, str) else [self.reading(ts, row)]

    @abstractmethod
    def reading(self, ts: int, row: dict[str, bytes]) -> Reading:
        """What a row of a time says."""

    def is_long(self, *names: str) -> bool:
        """Whether one of these, or the host, is too long to be a key."""
        return max(len(name.encode()) for name in (*names, self.rules.source.host)) > LONGEST_NAME


class FleetIntReader(_FiveColumns):
    """The metrics."""

    name: ClassVar = "fleetint"
    version: ClassVar = 1
    header: ClassVar = fleetint.METRICS

    def reading(self, ts: int, row: dict[str, bytes]) -> Reading:
        """Series before value; a row without a GPU is about the machine."""
        name, raw = text(row["metric_name"]), text(row["labels"])
        if not name:
            return Reading("no_metric")
        labels = _labels(raw)
        if labels is None:
            return Reading("bad_labels")
        metric, host = fleetint.metric_of(name), self.rules.source.host
        uuid, index = labels.pop("uuid", ""), labels.pop("gpu", "")
        uuid = "" if not uuid or is_placeholder(uuid) else uuid
        if not uuid and not index:
            return Reading("blank")
        if not uuid and not (host and re.fullmatch(r"[0-9]{1,9}", index)):
            return Reading("no_gpu")
        if self.is_long(metric, uuid):
            return Reading("long_name")
        series_labels = dict(self.rules.source.labels) | {key: value for key, value in labels.items() if key and value}
        series = self.rules.series(uuid or f"{host}:{int(index)}", metric, series_labels)
        value = without_sentinels(number(row["value"]), is_counter=lookup(metric).kind == "counter")
        return Reading(value, series, ts) if isinstance(value, str) else Reading("", series, ts, value)


class FleetIntEventsReader(_FiveColumns):
    """The events."""

    name: ClassVar = "fleetint-events"
    version: ClassVar = 1
    header: ClassVar = fleetint.EVENTS

    def reading(self, ts: int, row: dict[str, bytes]) -> Reading:
        """An XID by its number, any other event of a GPU as a 1."""
        name, kind, message = (text(row[each]) for each in ("event_name", "event_type", "message"))
        if not name:
            return Reading("no_metric")
        gpu = _gpu(message, self.rules.source.host)
        if not gpu:
            return Reading("blank")
        xid = _XID.search(message) if name == fleetint.XID_EVENT else None
        metric = fleetint.XID if xid else fleetint.event_of(name)
        if self.is_long(metric, gpu):
            return Reading("long_name")
        own = {"xid": xid[1]} if xid else {"event_type": kind} if kind else {}
        series = self.rules.series(gpu, metric, dict(self.rules.source.labels) | own)
        return Reading("", series, ts, float(xid[1]) if xid else 1.0)


def _gpu(message: str, host: str) -> str:
    """The one GPU that a message names, by UUID or else by its address on a host; empty where it names none."""
    uuids = {*_UUID.findall(message)}
    if len(uuids) == 1:
        return str(next(iter(uuids)))
    places = {match.upper() for match in _PLACE.findall(message)}
    return f"{host}:0000{places.pop()}.0" if host and len(places) == 1 else ""


def _labels(raw: str) -> dict[str, str] | None:
    """The labels of an object whose values are texts, all of which a database can hold."""
    try:
        document: Any = json.loads(raw or "{}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    for each in (*document, *document.values()):
        if not isinstance(each, str) or "\0" in each or re.search("[\ud800-\udfff]", each):
            return None
    return dict(document)

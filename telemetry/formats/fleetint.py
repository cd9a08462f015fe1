"""The metrics that NVIDIA's Fleet Intelligence agent writes offline: `timestamp,component,metric_name,value,labels`.

docs/CSV_FORMATS.md is the specification; what a metric is called here is `telemetry.readings.fleetint`. One reading a record,
with its labels as a JSON object. A record whose labels name no GPU is about the machine, and blank.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from telemetry.formats.base import Format, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import MAX_NAME_BYTES, named
from telemetry.formats.dcgm_values import parse_dcgm
from telemetry.formats.records import BLANKS, Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.timestamps import judge
from telemetry.formats.wide import INDEX
from telemetry.readings.catalogue import lookup
from telemetry.readings.fleetint import METRICS, metric_of
from telemetry.readings.rows import BLANK, REASON_CODE
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings

TIME, _, METRIC, VALUE, LABELS = METRICS


@dataclass(slots=True)
class FleetInt(Format):
    """The format under one header."""

    name: ClassVar = "fleetint"
    version: ClassVar = 1
    known_by: ClassVar = "the columns timestamp, component, metric_name, value and labels: fleetint_metrics_….csv"
    needs: ClassVar = "nothing; host names the machine"

    columns: list[str]
    settings: SourceSettings
    series: Combinations[tuple[str, int]] = field(init=False)
    bound: SeriesBound = field(init=False, default_factory=SeriesBound)

    def __post_init__(self) -> None:
        self.series = Combinations(lambda cells: named_by(metric_of(cells[0]) if cells[0] else "", cells[1], self.settings))

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of these columns, in any order."""
        return cls(names, settings) if sorted(names) == sorted(METRICS) else None

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning: time before series before value."""
        cells = dict(zip(self.columns, taken.columns, strict=True))
        meanings, codes = self.series.of([cells[METRIC], cells[LABELS]])
        series = self.bound.judged(meanings, how.limits.series)
        time, metrics = cells[TIME].dictionary_encode(), cells[METRIC].dictionary_encode()
        late, ts_us = (each[time.indices.to_numpy()] for each in judge(time.dictionary.to_pylist(), how))
        kinds = [lookup(metric_of(name.strip(BLANKS))).kind == "counter" for name in metrics.dictionary.to_pylist()]
        counts = np.array(kinds, np.bool_)[metrics.indices.to_numpy()]
        numbers, blank, bad = parse_dcgm(cells[VALUE], counts)
        whole = np.where(blank, BLANK, np.where(bad, REASON_CODE["bad_value"], 0))
        unnamed = np.array([reason for _, reason in series], np.uint8)[codes]
        reasons = np.where(late > 0, late, np.where(unnamed > 0, unnamed, whole)).astype(np.uint8)
        texts = [text for text, _ in series]
        return Rows(block, texts, codes, reasons, ts_us, numbers, taken.starts, taken.ends, taken.lines, taken.malformed)


def named_by(metric: str, text: str, settings: SourceSettings) -> tuple[str, int]:
    """The text of the series of a metric under labels as JSON; or "" and the code of the reason why there is none."""
    labels = parsed(text)
    if not metric or labels is None:
        return "", REASON_CODE["bad_labels" if metric else "no_metric"]
    uuid, index = named(labels.pop("uuid", "")), labels.pop("gpu", "")
    if not uuid and not index:
        return "", BLANK
    number = int(index) if INDEX.fullmatch(index) else None
    if not uuid and (not settings.host or number is None):
        return "", REASON_CODE["no_gpu"]
    if any(len(name.encode()) > MAX_NAME_BYTES for name in (metric, uuid, settings.host)):
        return "", REASON_CODE["long_name"]
    lasting = dict(settings.labels) | {name: value for name, value in labels.items() if name and value}
    return SeriesKey(metric, uuid, settings.host, number, "", "", lasting).text(), 0


def parsed(text: str) -> dict[str, str] | None:
    """The labels in a JSON object of texts, none in an empty cell; None for anything else, or what Postgres does not take."""
    if not text:
        return {}
    try:
        labels = json.loads(text)
        known = isinstance(labels, dict) and all(isinstance(value, str) for value in labels.values())
        return labels if known and b"\0" not in "".join([*labels, *labels.values()]).encode() else None
    except (ValueError, RecursionError):
        return None

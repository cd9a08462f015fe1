"""The events that NVIDIA's Fleet Intelligence agent writes offline: `timestamp,component,event_name,event_type,message`.

docs/CSV_FORMATS.md is the specification; what an event is called here is `telemetry.readings.fleetint`. An XID is a
reading of DCGM's metric of XIDs; another event about one GPU is a 1 of a metric of its own. An event of the machine is blank.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np

from telemetry.formats.base import Format, Pass
from telemetry.formats.combinations import Combinations
from telemetry.formats.dcgm_series import MAX_NAME_BYTES
from telemetry.formats.records import Records
from telemetry.formats.rows import Rows
from telemetry.formats.series_bound import SeriesBound
from telemetry.formats.timestamps import judge
from telemetry.readings.fleetint import EVENTS, XID, XID_EVENT, event_of
from telemetry.readings.rows import BLANK, REASON_CODE
from telemetry.readings.series import SeriesKey
from telemetry.readings.source_settings import SourceSettings

TIME, _, NAME, TYPE, MESSAGE = EVENTS
# "XID 79 … detected on GPU PCI:0000:04:00 UUID:GPU-…": of some the agent knows a sub-code, and of a GPU only its address.
# Source: components/accelerator/nvidia/xid/health_state.go of its SDK.
XID_MESSAGE = re.compile(r"XID (\d{1,4})(?:\.\d+)?\b", re.ASCII)
OF_UUID = re.compile(r"\bGPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.ASCII)
ADDRESS = re.compile(r"\bPCI:([0-9a-fA-F]{4}):([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\b", re.ASCII)


@dataclass(slots=True)
class FleetIntEvents(Format):
    """The format under one header. What an event means is its series, its value, and the code of a reason."""

    name: ClassVar = "fleetint-events"
    version: ClassVar = 1
    known_by: ClassVar = "the columns timestamp, component, event_name, event_type and message: fleetint_events_….csv"
    needs: ClassVar = "nothing; host where an event names its GPU by address alone"

    columns: list[str]
    settings: SourceSettings
    events: Combinations[tuple[str, float, int]] = field(init=False)
    bound: SeriesBound = field(init=False, default_factory=SeriesBound)

    def __post_init__(self) -> None:
        self.events = Combinations(self._event)

    @classmethod
    def of_header(cls, names: list[str], settings: SourceSettings) -> Self | None:
        """The format under a header of these columns, in any order."""
        return cls(names, settings) if sorted(names) == sorted(EVENTS) else None

    def read(self, taken: Records, block: bytes, how: Pass) -> Rows:
        """Give the records of a block their meaning."""
        cells = dict(zip(self.columns, taken.columns, strict=True))
        meanings, codes = self.events.of([cells[NAME], cells[TYPE], cells[MESSAGE]])
        series = self.bound.judged([(text, reason) for text, _, reason in meanings], how.limits.series)
        time = cells[TIME].dictionary_encode()
        late, ts_us = (each[time.indices.to_numpy()] for each in judge(time.dictionary.to_pylist(), how))
        reasons = np.where(late > 0, late, np.array([reason for _, reason in series], np.uint8)[codes]).astype(np.uint8)
        values, texts = np.array([value for _, value, _ in meanings], np.float64)[codes], [text for text, _ in series]
        return Rows(block, texts, codes, reasons, ts_us, values, taken.starts, taken.ends, taken.lines, taken.malformed)

    def _event(self, cells: tuple[str, ...]) -> tuple[str, float, int]:
        name, kind, message = cells
        xid = XID_MESSAGE.search(message) if name == XID_EVENT else None
        metric = XID if xid else event_of(name)
        host = self.settings.host
        # As nvidia-smi writes an address.
        address = _only({f"0000{domain}:{bus}:{device}.0".upper() for domain, bus, device in ADDRESS.findall(message)})
        uuid = _only(set(OF_UUID.findall(message))) or (f"{host}:{address}" if host and address else "")
        if not name or not uuid:
            return "", 0.0, BLANK if name else REASON_CODE["no_metric"]
        if any(len(each.encode()) > MAX_NAME_BYTES for each in (metric, uuid, host)):
            return "", 0.0, REASON_CODE["long_name"]
        # Two XIDs of one second are no conflict.
        own = {"xid": xid[1]} if xid else {"event_type": kind} if kind else {}
        key = SeriesKey(metric, uuid, host, None, "", "", dict(self.settings.labels) | own)
        return key.text(), float(xid[1]) if xid else 1.0, 0


def _only(names: set[str]) -> str:
    """The one of some names; empty where there is none, or there are several."""
    return names.pop() if len(names) == 1 else ""

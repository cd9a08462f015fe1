"""What the bytes of a source do not say, and its operator does. Where it is written is `telemetry.settings.sources_file`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from telemetry.readings.mapping import ColumnMapping


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Each format takes from it what it needs.

    `time_zone` is the IANA name of the zone of times that carry none; `host` and `gpu_index` name the GPU where the file does
    not; `date` is the day of the first row, where times carry none; `header` is that of a file which has none; `labels` are
    pairs (name, value) that each series gets. With `keep_exporter`, labels that name the exporter's own pod stay beside those
    that name the pod which used the GPU. A source with a `mapping` is read by that, and by nothing else.
    """

    time_zone: str = ""
    host: str = ""
    gpu_index: int | None = None
    header: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    keep_exporter: bool = False
    mapping: ColumnMapping | None = None
    date: str = ""

    @property
    def delimiter(self) -> str:
        """What separates the fields of a record."""
        return self.mapping.delimiter if self.mapping else ","

    def interpretation(self) -> str:
        """What is set, as text; empty where nothing is."""
        return _interpretation(self)


NO_SETTINGS = SourceSettings()


# It is asked for at each batch.
@lru_cache(maxsize=1024)
def _interpretation(settings: SourceSettings) -> str:
    given = _given(asdict(settings))
    return ";source=" + json.dumps(given, sort_keys=True, separators=(",", ":")) if given else ""


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """What is set of some values, in tables within them too."""
    bare = {name: _given(value) if isinstance(value, dict) else value for name, value in values.items()}
    # A GPU of index 0 is one that is set.
    return {name: value for name, value in bare.items() if value not in ("", None, ()) and value is not False}

"""What the bytes of a source do not say, and its operator does. Where it is written is `telemetry.settings.sources_file`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Each format takes from it what it needs.

    `time_zone` is the IANA name of the zone of times that carry none; `host` and `gpu_index` name the GPU where the file does
    not; `date` is the day of the first row, where times carry none; `header` is that of a file which has none; `labels` are
    pairs (name, value) that each series gets. With `keep_exporter`, labels that name the exporter's own pod stay beside those
    that name the pod which used the GPU.
    """

    time_zone: str = ""
    host: str = ""
    gpu_index: int | None = None
    header: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    keep_exporter: bool = False
    date: str = ""

    def interpretation(self) -> str:
        """What is set, as text; empty where nothing is."""
        return _interpretation(self)


NO_SETTINGS = SourceSettings()


# It is asked for at each batch.
@lru_cache(maxsize=1024)
def _interpretation(settings: SourceSettings) -> str:
    given = {name: value for name, value in asdict(settings).items() if value not in ("", None, (), False)}
    return ";source=" + json.dumps(given, sort_keys=True, separators=(",", ":")) if given else ""

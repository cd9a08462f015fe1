"""Whether a header fits a mapping, and which of its columns is what.

Each column is named by the mapping, or is one that the mapping leaves out: a column that is not said anything of makes the file
foreign, so that none is dropped without a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from telemetry.readings.catalogue import lookup
from telemetry.readings.mapping import PLACEHOLDERS, ColumnMapping, Measured
from telemetry.readings.source_settings import SourceSettings
from telemetry.readings.units import SAME, Conversion, conversion

PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
PARTS = {"index": r"(?P<index>\d{1,9})", "host": r"(?P<host>.+?)", "uuid": r"(?P<uuid>[A-Za-z0-9-]+)"}


class Value(NamedTuple):
    """A column of values: its place, metric and unit, how it becomes the metric's unit, and what its name says of the GPU."""

    place: int
    metric: str
    unit: str
    conversion: Conversion
    of: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """The places of a mapping's columns under a header: of the time, by role of a GPU, by label, and the columns of values."""

    time: tuple[int, ...]
    gpu: dict[str, int]
    labels: dict[str, int]
    values: list[Value]


def fitted(names: list[str], settings: SourceSettings) -> Columns | str:
    """The columns under a header of these names; or what keeps it from fitting the mapping, for people."""
    mapping = settings.mapping
    if mapping is None:
        return "its source has no mapping"
    named = [*mapping.time, *(column for _, column in (*mapping.gpu, *mapping.labels))]
    meanings = {place: _measured(name, mapping) for place, name in enumerate(names) if name not in named}
    if why := _unlike(names, named, meanings, mapping):
        return why
    values = [_value(place, names[place], known[0]) for place, known in meanings.items() if known]
    series = Counter((value.metric, value.of) for value in values)
    if same := [names[value.place] for value in values if series[value.metric, value.of] > 1]:
        return f"the columns {_shown(same)} would be one series: give them different metrics, or add one to ignore"
    if lack := _lacks(mapping, settings, values):
        return lack
    places = {name: place for place, name in enumerate(names)}
    return Columns(
        tuple(places[name] for name in mapping.time),
        {role: places[name] for role, name in mapping.gpu},
        {label: places[name] for label, name in mapping.labels},
        values,
    )


def _unlike(names: list[str], named: list[str], meanings: dict[int, list[Measured]], mapping: ColumnMapping) -> str:
    """What a header has that the mapping does not say, or lacks; empty if that is nothing."""
    if lacking := sorted({*named} - {*names}, key=named.index):
        return f"it has no column {_shown(lacking)}; its columns are {_shown(names)}"
    measured, counts = [names[place] for place, known in meanings.items() if known], Counter(names)
    if twice := [name for name in (*named, *measured) if counts[name] > 1]:
        return f"a column's name stands there twice: {_shown(twice[:1])}"
    if unsaid := [names[at] for at, known in meanings.items() if not known and not _is_left_out(names[at], mapping)]:
        return f"the mapping says nothing of {_shown(unsaid)}: add what is measured to metrics, and the rest to ignore"
    if several := [at for at, known in meanings.items() if len(known) > 1]:
        both = _shown(known.column for known in meanings[several[0]])
        return f"the column {names[several[0]]!r} is each of these of metrics: {both}"
    return "" if measured else f"it has none of the columns of metrics; its columns are {_shown(names)}"


def _measured(name: str, mapping: ColumnMapping) -> list[Measured]:
    """What the metrics of a mapping say of a column: what is said of its very name goes before what is said of many."""
    if exact := [each for each in mapping.metrics if each.column == name]:
        return exact
    if name in mapping.ignore:
        return []
    return [each for each in mapping.metrics if (pattern := _pattern(each.column)) and pattern.fullmatch(name)]


def _is_left_out(name: str, mapping: ColumnMapping) -> bool:
    # A column without a name is the index of a data frame, or follows a comma at the end.
    return not name or any(_of_stars(pattern).fullmatch(name) for pattern in mapping.ignore)


def _value(place: int, name: str, known: Measured) -> Value:
    pattern = _pattern(known.column) if known.column != name else None
    match = pattern.fullmatch(name) if pattern else None
    said = match.groupdict() if match else {}
    if "index" in said:
        said["index"] = str(int(said["index"]))
    own = lookup(known.metric).unit
    into = conversion(known.unit, own) if own else None
    return Value(place, known.metric, known.unit, into or SAME, tuple(sorted(said.items())))


@lru_cache(maxsize=1024)
def _of_stars(pattern: str) -> re.Pattern[str]:
    """A pattern in which `*` stands for any characters, and all else for itself."""
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


@lru_cache(maxsize=1024)
def _pattern(column: str) -> re.Pattern[str] | None:
    """A column's name with placeholders as a regular expression, None where it has none, or one twice."""
    placeholders = PLACEHOLDER.findall(column)
    if not placeholders or len(set(placeholders)) < len(placeholders):
        return None
    pieces = PLACEHOLDER.split(column)
    return re.compile("".join(PARTS[piece] if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)), re.ASCII)


def _lacks(mapping: ColumnMapping, settings: SourceSettings, values: list[Value]) -> str:
    """What of a GPU or of a time neither the file says nor the settings do; empty if that is nothing."""
    for value in values:
        said = {role for role, _ in (*mapping.gpu, *value.of)}
        if "uuid" in said or mapping.uuid:
            continue
        if not {"index", "pci"} & said and settings.gpu_index is None:
            return "it does not name its GPU: say gpu_index, or gpu = { index = … } with the name of the column"
        if "host" not in said and not settings.host:
            return "it does not name its host: say host, host_from_path, or gpu = { host = … } with the name of the column"
    if mapping.form.startswith("elapsed") and mapping.since_us is None:
        return "its path does not say when it began: mend since_from_path, or say since"
    return ""


def _shown(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")  # noqa: PLR2004 - enough to see

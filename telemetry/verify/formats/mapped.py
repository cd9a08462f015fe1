"""Reads wide files by the mapping of their source: a row to its readings, one a column of values.

Owns the header and whose reading a cell is. Times are `mapped_times`, numbers `mapped_numbers`.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import ClassVar, NamedTuple, Self

from telemetry.readings.catalogue import lookup
from telemetry.readings.mapping import ColumnMapping, Measured
from telemetry.readings.units import conversion
from telemetry.verify.formats.base import FormatReader, Reading, Rules, SeriesKey, remember
from telemetry.verify.formats.dcgm import LONGEST_NAME, is_none, is_placeholder
from telemetry.verify.formats.grammar import cells, grammar, text
from telemetry.verify.formats.mapped_numbers import Numbers
from telemetry.verify.formats.mapped_times import Clock

_HOLES = {"{index}": r"([0-9]{1,9})", "{host}": r"(.+?)", "{uuid}": r"([0-9A-Za-z-]+)"}
_INDEX = re.compile(r"(?:[A-Za-z]+[ _:-]?)?([0-9]{1,9})")


class _Column(NamedTuple):
    """A column of values: where it stands, its metric, how its cells are numbers, and the GPU as far as its name says it."""

    place: int
    metric: str
    numbers: Numbers
    named: dict[str, str]
    is_counter: bool
    # Whether its cells are those of a field of DCGM, as it writes them.
    is_dcgm: bool


class MappedReader(FormatReader):
    """The mapping of a source under one header."""

    name: ClassVar = "mapped"
    version: ClassVar = 2

    def __init__(self, names: tuple[str, ...], columns: list[_Column], mapping: ColumnMapping, rules: Rules) -> None:
        self.delimiter = mapping.delimiter
        own, mark = grammar(mapping.delimiter), mapping.delimiter.encode()
        self.pattern = re.compile(rb"((?:%b%b){%d}%b)" % (own.field, mark, len(names) - 1, own.field) + own.end)
        self._columns, self._mapping, self._rules = columns, mapping, rules
        self._places = {name: place for place, name in enumerate(names)}
        self._clock = Clock(mapping, rules)
        self._keys: dict[tuple[int, tuple[str, ...]], SeriesKey | str] = {}

    @classmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header in which all columns are known, and which names a GPU with what the settings say."""
        mapping = rules.source.mapping
        if mapping is None:
            return None
        roles = dict(mapping.gpu)
        needed = {*mapping.time, *roles.values(), *(column for _, column in mapping.labels)}
        columns, counts = [], Counter(names)
        for place, name in enumerate(names):
            if name in needed:
                continue
            matches = _matches(name, mapping)
            if len(matches) > 1 or (matches and counts[name] > 1):
                return None
            if not matches and name and not any(_is_like(name, pattern) for pattern in mapping.ignore):
                return None
            columns += [_column(place, known, named, mapping) for known, named in matches]
        kinds = {(column.metric, *sorted(column.named.items())) for column in columns}
        if not columns or any(counts[name] != 1 for name in needed) or len(kinds) < len(columns):
            return None
        if mapping.form.startswith("elapsed") and mapping.since_us is None:
            return None
        has_gpus = all(_is_told({*roles, *column.named}, rules, mapping) for column in columns)
        return cls(names, columns, mapping, rules) if has_gpus else None

    def read(self, pieces: tuple[bytes, ...]) -> list[Reading]:
        """What the row says."""
        row = [text(cell) for cell in cells(pieces[0], self.delimiter)]
        ts = self._clock.judged(" ".join(row[self._places[name]] for name in self._mapping.time))
        if isinstance(ts, str):
            return [Reading(ts)]
        said = tuple(row[self._places[name]] for _, name in (*self._mapping.gpu, *self._mapping.labels))
        readings = []
        for number, column in enumerate(self._columns):
            key = self._keys.get((number, said))
            if key is None:
                key = remember(self._keys, (number, said), self._key(column, said))
            value = column.numbers.value(row[column.place])
            if column.is_dcgm and not isinstance(value, str) and is_none(value, is_counter=column.is_counter):
                value = "blank"
            if isinstance(key, str):
                readings.append(Reading(key))
            else:
                readings.append(Reading(value, key, ts) if isinstance(value, str) else Reading("", key, ts, value))
        return readings

    def _key(self, column: _Column, said: tuple[str, ...]) -> SeriesKey | str:
        """Whose reading a column's cell is, by the cells that name a GPU and its labels."""
        source, roles = self._rules.source, [role for role, _ in self._mapping.gpu]
        given = dict(zip(roles, said, strict=False)) | column.named
        named = {role: cell for role, cell in given.items() if cell and not is_placeholder(cell)}
        uuid, host = named.get("uuid", self._mapping.uuid), named.get("host", source.host)
        match = _INDEX.fullmatch(given.get("index", ""))
        index = (int(match[1]) if match else None) if "index" in given else source.gpu_index
        if not uuid and index is None and host and "pci" in named:
            uuid = f"{host}:{named['pci']}"
        if not uuid and not (host and index is not None):
            return "no_gpu"
        if max(len(uuid.encode()), len(host.encode())) > LONGEST_NAME:
            return "long_name"
        pairs = zip((label for label, _ in self._mapping.labels), said[len(roles) :], strict=True)
        all_labels = dict(source.labels) | {label: cell for label, cell in pairs if cell}
        return self._rules.series(uuid or f"{host}:{index}", column.metric, all_labels)


def _matches(name: str, mapping: ColumnMapping) -> list[tuple[Measured, dict[str, str]]]:
    """Which of the mapping's metrics a column is, and what its name says of the GPU."""
    for known in mapping.metrics:
        if known.column == name:
            return [(known, {})]
    if name in mapping.ignore:
        return []
    matches = []
    for known in mapping.metrics:
        holes = re.findall(r"\{(?:index|host|uuid)\}", known.column)
        if holes and len(set(holes)) == len(holes):
            literal = re.split(r"\{(?:index|host|uuid)\}", known.column)
            pattern = re.escape(literal[0]) + "".join(
                _HOLES[hole] + re.escape(rest) for hole, rest in zip(holes, literal[1:], strict=True)
            )
            if match := re.fullmatch(pattern, name):
                matches.append((known, dict(zip((hole[1:-1] for hole in holes), match.groups(), strict=True))))
    return matches


def _is_like(name: str, pattern: str) -> bool:
    """Whether a name is like a pattern in which a star stands for anything, and nothing else for anything but itself."""
    return fnmatchcase(name, "".join(f"[{each}]" if each in "[?" else each for each in pattern))


def _column(place: int, known: Measured, named: dict[str, str], mapping: ColumnMapping) -> _Column:
    metric = lookup(known.metric)
    ratio = conversion(known.unit, metric.unit) if metric.unit else None
    factor = Fraction(*ratio) if ratio else Fraction(1)
    if "index" in named:
        named["index"] = f"{int(named['index'])}"
    numbers = Numbers(known.unit, factor, mapping)
    is_dcgm = factor == 1 and known.metric.startswith("DCGM_FI_")
    return _Column(place, known.metric, numbers, named, metric.kind == "counter", is_dcgm)


def _is_told(roles: set[str], rules: Rules, mapping: ColumnMapping) -> bool:
    """Whether the GPU is known where these say something of it, and the settings."""
    if mapping.uuid or "uuid" in roles:
        return True
    has_place = "index" in roles or "pci" in roles or rules.source.gpu_index is not None
    return has_place and ("host" in roles or bool(rules.source.host))

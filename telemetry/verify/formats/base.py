"""What a reader of a format is, and what it says of a row.

Owns the rules that the settings make of times and labels. Which columns mean what is each reader's, where rows begin and end
`records`', and what the database makes of them `compare`'s.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NamedTuple, Self, TypeVar

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.readings.tellers import TOLD_BY
from telemetry.settings import Settings
from telemetry.verify.formats import labels
from telemetry.verify.formats.grammar import Bytes

# Raw cells remembered at most; a file whose labels never repeat must not fill the memory.
CACHE = 250_000
_EVER = -(1 << 63)

_K = TypeVar("_K")
_V = TypeVar("_V")


class Names(NamedTuple):
    """What one rule makes of the labels of a row.

    `labels` is the digest of the lasting labels, `owned` that of these and the owner's: series of before revision 0009 have it.
    `owner` is the digest of the owner's labels.
    """

    labels: bytes
    owned: bytes
    owner: bytes


class SeriesKey(NamedTuple):
    """What the database knows a series by, and who used the GPU then, under each rule of labels.

    `instance` is the MIG instance. GPUs without a UUID are called `host:index`, until `identity` knows who told of them.
    """

    gpu: str
    metric: str
    instance: str
    names: tuple[Names, ...]

    def under(self, rule: int) -> SeriesKey:
        """What it is under one of the rules."""
        return self._replace(names=(self.names[rule],))

    @property
    def labels(self) -> bytes:
        """The digest of the lasting labels under the latest rule."""
        return self.names[-1].labels

    @property
    def owned(self) -> bytes:
        """That of these and the owner's."""
        return self.names[-1].owned

    @property
    def owner(self) -> bytes:
        """That of the owner's labels."""
        return self.names[-1].owner


class Reading(NamedTuple):
    """What a row says once: a reading, or the reason it is none, with series and time as far as they are known."""

    reason: str
    series: SeriesKey | None = None
    ts: int = 0
    value: float = math.nan


class Passing(NamedTuple):
    """Labels that are no part of a series from a time on: volatile ones, and those that say who used the GPU."""

    since: int
    volatile: frozenset[str]
    owner: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the rows to accept, in microseconds since 1970, and of the file they stand in.

    `passing` has the rules of labels, the earliest first.
    """

    floor: int
    ceiling: int
    passing: tuple[Passing, ...]
    # What the operator says of the file that is read.
    source: SourceSettings = NO_SETTINGS

    @classmethod
    def of(cls, settings: Settings, now: datetime, passing: Sequence[Passing] = ()) -> Rules:
        """The rules in force at a time of reading. Labels are judged by the settings where the database has no rule of them."""
        set_now = Passing(_EVER, frozenset(settings.volatile_labels), frozenset(settings.owner_labels))
        return cls(
            floor=_since_1970(settings.timestamp_floor),
            ceiling=_since_1970(now) + settings.future_limit_s * 1_000_000,
            passing=tuple(passing) or (set_now,),
        )

    @property
    def since(self) -> list[int]:
        """When each rule of labels begins to hold."""
        return [rule.since for rule in self.passing]

    def series(self, gpu: str, metric: str, named: dict[str, str]) -> SeriesKey:
        """The series of a GPU and a metric under the labels of a row, volatile ones and the owner's among them."""
        return SeriesKey(gpu, metric, named.get("GPU_I_ID", ""), tuple(_names(named, rule) for rule in self.passing))

    def judged(self, ts: int | None) -> int | str:
        """A time that is believed, or the reason why it is not; None stands for a cell that is no time."""
        if ts is None:
            return "bad_timestamp"
        if ts < self.floor:
            return "too_old"
        return "too_new" if ts > self.ceiling else ts


class FormatReader(ABC):
    """A format under one header. `pattern` is that of a record with its line end; its groups are what `read` is given."""

    name: ClassVar[str]
    version: ClassVar[int]
    # Whether its header may stand behind a time.
    is_stamped: ClassVar[bool] = False

    pattern: re.Pattern[bytes]
    # What separates the fields of its records.
    delimiter: str = ","

    @classmethod
    @abstractmethod
    def of_header(cls, names: tuple[str, ...], rules: Rules) -> Self | None:
        """The reader under a header of these names, stripped of blanks; None if the header belongs to another format."""

    def repeats(self, line: bytes) -> bool | None:
        """Whether a line says of the columns again what the header does, such as their units.

        False of one that contradicts it, None of a line that is about something else.
        """
        return None

    def comes_to(self, data: Bytes, at: int) -> None:  # noqa: B027 - most readers need not know
        """Told before each record where it begins: a reader may need to know what stands before it."""

    @abstractmethod
    def read(self, pieces: tuple[bytes, ...]) -> Sequence[Reading]:
        """What a well-formed record says, by the groups of its match; the reasons tested in the order of docs/RECORDS.md."""


def remember(cache: dict[_K, _V], key: _K, value: _V) -> _V:
    """The value, which the cache has from now on; a cache that is full begins anew."""
    if len(cache) >= CACHE:
        cache.clear()
    cache[key] = value
    return value


def _names(named: dict[str, str], rule: Passing) -> Names:
    owner = {name: value for name, value in named.items() if name in rule.owner or name == TOLD_BY}
    owned = {name: value for name, value in named.items() if name not in rule.volatile}
    lasting = {name: value for name, value in owned.items() if name not in owner}
    return Names(labels.digest(lasting), labels.digest(owned), labels.digest(owner))


def _since_1970(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

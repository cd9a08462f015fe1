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
from telemetry.settings import Settings
from telemetry.verify.formats import labels
from telemetry.verify.formats.grammar import Bytes

# Raw cells remembered at most; a file whose labels never repeat must not fill the memory.
CACHE = 250_000

_K = TypeVar("_K")
_V = TypeVar("_V")


class SeriesKey(NamedTuple):
    """What the database knows a series by, and who used the GPU then.

    `labels` is the digest of the lasting labels, `owned` that of these and the owner's: series of before revision 0009 have it.
    `instance` is the MIG instance, `owner` the digest of the owner's labels.
    """

    gpu: str
    metric: str
    labels: bytes
    owned: bytes
    instance: str
    owner: bytes


class Reading(NamedTuple):
    """What a row says once: a reading, or the reason it is none, with series and time as far as they are known."""

    reason: str
    series: SeriesKey | None = None
    ts: int = 0
    value: float = math.nan


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of the rows to accept, in microseconds since 1970, and of the file they stand in."""

    floor: int
    ceiling: int
    volatile: frozenset[str]
    owner: frozenset[str] = frozenset()
    # What the operator says of the file that is read.
    source: SourceSettings = NO_SETTINGS

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> Rules:
        """The rules in force at a time of reading."""
        return cls(
            floor=_since_1970(settings.timestamp_floor),
            ceiling=_since_1970(now) + settings.future_limit_s * 1_000_000,
            volatile=frozenset(settings.volatile_labels),
            owner=frozenset(settings.owner_labels),
        )

    def series(self, gpu: str, metric: str, named: dict[str, str]) -> SeriesKey:
        """The series of a GPU and a metric under the labels of a row, volatile ones and the owner's among them."""
        owner = {name: value for name, value in named.items() if name in self.owner}
        owned = {name: value for name, value in named.items() if name not in self.volatile}
        lasting = {name: value for name, value in owned.items() if name not in owner}
        marks = (labels.digest(lasting), labels.digest(owned), named.get("GPU_I_ID", ""), labels.digest(owner))
        return SeriesKey(gpu, metric, *marks)

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


def _since_1970(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

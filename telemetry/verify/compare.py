"""Puts every reading of some files in its class, by what the database holds of them.

Owns the classes and their precedence. What a reading should be comes from `files`, what is stored from `queries`. Who had the
GPUs is compared by `owners`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from telemetry.verify import identity, owners, queries
from telemetry.verify.contents import opened
from telemetry.verify.examples import AT_MOST, Example, conflicts, line_number, stranger, unfound, unread
from telemetry.verify.files import BLANK, REASONS, VALUE, File, Longs, SeriesNumbers
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.records import kept
from telemetry.verify.matching import Doubles, Flags, Keys, within
from telemetry.verify.owners import NO_OWNERS, Owners
from telemetry.verify.queries import SeriesIds

# Whether a time was too new was decided by the clock when it was read, and the floor may have been another one then.
_OF_ITS_TIME = ("too_old", "too_new")
# And these follow from what was read before.
_NOT_OF_THE_ROW = (*_OF_ITS_TIME, "too_many_series")
_UNKNOWN = REASONS.index("unknown_format")


class Class(IntEnum):
    """What became of a reading."""

    STORED = 0
    DUPLICATE = 1
    CONFLICT = 2
    BLANK = 3
    QUARANTINED = 4
    DEAD = 5
    EXPIRED = 6
    UNREAD = 7
    MISSING = 8


# What makes a difference. Quarantined and blank readings do not: the database has the text of those, these have no value. Nor
# do expired ones: they are gone because somebody has set so, and the verdict says that the database does not have them.
DIFFERENCES = ("conflict", "dead", "unread", "missing", "extra")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The count of each class, some of the differences, and the files known by replays alone.

    `reasons` counts what is in quarantine by reason. `others` are sources of the ledger, the latest first, that may have
    brought what is `extra`: no sample says which source it came from. `owners` compares who had the GPUs.
    """

    counts: dict[str, int]
    examples: tuple[Example, ...]
    replayed: tuple[Path, ...]
    reasons: dict[str, int]
    others: tuple[str, ...]
    owners: Owners = NO_OWNERS

    def differences(self, *, allow_extra: bool = False) -> dict[str, int]:
        """The classes that make a difference, as far as there are readings of them."""
        names = [name for name in DIFFERENCES if name != "extra" or not allow_extra]
        counts = {name: self.counts[name] for name in names if self.counts[name]}
        return counts | self.owners.differences(allow_extra=allow_extra)

    def agrees(self, *, allow_extra: bool = False) -> bool:
        """Whether files and database hold the same."""
        return not (self.differences(allow_extra=allow_extra) or self.replayed)


def compare(connection: Connection, files: Sequence[File], numbers: SeriesNumbers, rules: Rules) -> Outcome:
    """Every reading of the files against the database. A line under a header that no format knows is unread."""
    reasons = np.concatenate([file.reasons for file in files])
    named, series = identity.keys(connection, files, numbers, rules)
    ts = np.concatenate([file.ts for file in files])
    values = np.concatenate([file.values for file in files])
    quarantined = np.concatenate([_quarantined(connection, file) for file in files])
    dead = np.concatenate([_dead(connection, file) for file in files])

    known = queries.series_ids(connection, named)
    series_id = np.where(series >= 0, np.append(known.ids, -1)[series], -1)
    rows = np.flatnonzero((reasons == VALUE) & (series_id >= 0))
    keys = Keys(series_id[rows], ts[rows])
    extra, strangers = _extra(connection, keys, known, ts[series >= 0])

    classes = np.where(dead, Class.DEAD, Class.MISSING).astype(np.int8)
    old = _old(connection, files, reasons, ts)
    classes[(classes == Class.MISSING) & old] = Class.EXPIRED
    classes[reasons == BLANK] = Class.BLANK
    classes[quarantined] = Class.QUARANTINED
    classes[reasons == _UNKNOWN] = Class.UNREAD
    rows = rows[~quarantined[rows]]
    judged = keys.judge(series_id[rows], ts[rows], values[rows])
    for of, flags in zip((Class.STORED, Class.DUPLICATE, Class.CONFLICT), judged, strict=True):
        classes[rows[flags]] = of

    foreign = [file for file in files if file.is_foreign]
    # Beside the lines of it that `files` has as rows.
    more = sum(_physical_lines(file) - len(file.reasons) for file in foreign)
    tally = np.bincount(classes, minlength=len(Class)).tolist()
    tally[Class.UNREAD] += more
    counts = {"read": len(reasons) + more} | {of.name.lower(): tally[of] for of in Class} | {"extra": extra}
    assert counts["read"] == sum(tally), "every reading is in exactly one class"  # noqa: S101
    examples = (
        *unread(files, classes == Class.UNREAD),
        *unfound(files, classes == Class.MISSING, classes == Class.DEAD),
        *conflicts(files, classes == Class.CONFLICT, _stored(keys, series_id, ts, classes == Class.CONFLICT)),
        *strangers,
    )
    there = (classes == Class.STORED) | (classes == Class.DUPLICATE) | (classes == Class.CONFLICT)
    marks = [file.fingerprint for file in files if file.fingerprint]
    return Outcome(
        counts,
        examples[:AT_MOST],
        replayed=tuple(f.path for f in files if f.fingerprint and queries.only_replayed(connection, f.fingerprint)),
        reasons=_by_reason(reasons[classes == Class.QUARANTINED]),
        others=tuple(queries.other_sources(connection, marks, AT_MOST)) if extra else (),
        owners=owners.compare(connection, named, known.own_series, series[there], ts[there], values[there]),
    )


def _old(connection: Connection, files: Sequence[File], reasons: npt.NDArray[np.int8], ts: Longs) -> Flags:
    """Which rows the database keeps no more: readings by their time, unreadable ones by when their bytes came."""
    floor = queries.floor(connection)
    passed = [within(file.starts, queries.ranges_of_old(connection, file.fingerprint or "")) for file in files]
    old: Flags = np.where(reasons == VALUE, ts < floor, np.concatenate(passed))
    return old


def _stored(keys: Keys, series_id: Longs, ts: Longs, flags: Flags) -> Doubles:
    """What is stored under the keys of the flagged rows, an entry for each of all rows."""
    stored = np.zeros(len(flags))
    rows = np.flatnonzero(flags)
    if len(rows):
        stored[rows] = keys.stored(series_id[rows], ts[rows])
    return stored


def _by_reason(codes: npt.NDArray[np.int8]) -> dict[str, int]:
    # What a good row is in quarantine for depends on when it was read, and after what.
    names = Counter(REASONS[code] if code > BLANK else " or ".join(_NOT_OF_THE_ROW) for code in codes.tolist())
    return dict(names.most_common())


def _physical_lines(file: File) -> int:
    with opened(file.path) as data:
        return line_number(data, len(data)) - (data[-1:] == b"\n")


def _quarantined(connection: Connection, file: File) -> Flags:
    """Which entries of a file the database holds in quarantine, and rightly so."""
    inside = np.zeros(len(file.starts), np.bool_)
    if file.fingerprint is None:
        return inside
    blocks = list(queries.quarantined(connection, file.fingerprint))
    if not blocks:
        return inside
    with opened(file.path) as data:
        for block in blocks:
            places = np.searchsorted(file.starts, np.array([offset for offset, _, _ in block], np.int64))
            for place, (offset, digest, reason) in zip(places.tolist(), block, strict=True):
                if place == len(inside) or file.starts[place] != offset:
                    continue
                if file.reasons[place] in (VALUE, BLANK) and reason not in _NOT_OF_THE_ROW:
                    continue
                raw = kept(data, offset, int(file.ends[place]))
                if hashlib.sha256(raw).digest()[:16] == digest:
                    # By its time the whole row was turned away, whatever else it says.
                    whole = reason in _OF_ITS_TIME
                    inside[place : np.searchsorted(file.starts, offset, "right") if whole else place + 1] = True
    return inside


def _dead(connection: Connection, file: File) -> Flags:
    return within(file.starts, queries.dead_ranges(connection, file.fingerprint) if file.fingerprint else [])


def _extra(connection: Connection, keys: Keys, known: SeriesIds, times: Longs) -> tuple[int, list[Example]]:
    """How many samples of the files' GPUs, metrics and span no row has, under whatever labels, and some of them."""
    count, examples = 0, list[Example]()
    if not known.all or not len(times):
        return count, examples
    ids = np.array(sorted(known.all), np.int64)
    for stored, ts, value in queries.samples(connection, ids, int(times.min()), int(times.max())):
        series = stored.copy()
        for alias, meant in known.aliases.items():
            series[stored == alias] = meant
        ours_not = np.flatnonzero(keys.put(series, ts, value))
        count += len(ours_not)
        for place in ours_not[: AT_MOST - len(examples)].tolist():
            examples.append(stranger(*known.all[int(stored[place])], int(ts[place]), float(value[place])))
    return count, examples

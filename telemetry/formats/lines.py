"""Finds records whose like was read before, a block at a time: the fast way through a file that repeats itself.

The lines of one series differ in two cells, time and value. What stands around them is the line's *frame*. A frame is
learnt from one line of it, read as `records` reads any; a line with a known frame and two plain cells is then known
to be one record, and to say what that one said but for these cells. All else is left to `records`, and a property test
holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from telemetry.formats import records

COMMA, CR, LF = b",\r\n"
# Cells that mean nothing but themselves, in quotes or not: what the two may be, and what the others before the last of them.
PLAIN = re.compile(rb'[ !#-+\--~\t]*|"[ !#-+\--~\t]*"')
ALL_PLAIN = re.compile(rb'(?:(?:"[ !#-+\--~\t]*+"|[ !#-+\--~\t]*+)\n)*+')
SIMPLE = re.compile(rb'[^",\r\n]*|"[^",\r\n]*"')
MAX_FRAMES = 100_000
UNKNOWN = -1

Offsets = NDArray[np.int64]
# Gives each of some records, by column, the number it will be known by.
Learn = Callable[[list[pa.Array]], list[int]]


@dataclass(frozen=True, slots=True)
class Cells:
    """One cell of each record: an index into distinct texts, without their quotes."""

    texts: list[str]
    codes: Offsets


@dataclass(frozen=True, slots=True)
class Lines:
    """Records at the beginning of a block, one a line: bytes [bounds[n], bounds[n + 1]), the number of its frame, two cells."""

    bounds: Offsets
    frames: Offsets
    low: Cells
    high: Cells


@dataclass(slots=True)
class Frames:
    """The frames seen under one header of so many columns; `low` < `high` are the two that vary."""

    columns: int
    low: int
    high: int
    known: dict[bytes, int] = field(default_factory=dict)

    def find(self, block: bytes, max_record: int, learn: Learn) -> Lines:
        """The records at the beginning of a block, up to the first line that must be read closely or is not complete."""
        edges = self._edges(block, max_record)
        pieces, codes = _encode(block, edges)
        low, high = _cells(pieces, codes[:, 1]), _cells(pieces, codes[:, 3])
        size = len(pieces)
        first, kinds = _distinct((codes[:, 0] * size + codes[:, 2]) * size + codes[:, 4])
        frames = np.array(self._numbers(block, edges[first], max_record, learn), np.int64)[kinds]
        good = (frames != UNKNOWN) & (low.codes != UNKNOWN) & (high.codes != UNKNOWN)
        end = len(good) if good.all() else int(good.argmin())
        bounds = np.append(edges[:end, 0], edges[end - 1, 5]) if end else np.zeros(1, np.int64)
        return Lines(bounds, frames[:end], Cells(low.texts, low.codes[:end]), Cells(high.texts, high.codes[:end]))

    def _edges(self, block: bytes, max_record: int) -> Offsets:
        """Where each line begins, its two cells begin and end, and it ends; up to a line that cannot have these cells."""
        octets = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(octets == LF) + 1
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
        commas = np.flatnonzero(octets == COMMA)
        needed = min(self.high + 1, self.columns - 1)
        first = np.searchsorted(commas, starts)
        enough = first + needed <= len(commas)
        enough[enough] = commas[first[enough] + needed - 1] < ends[enough]
        enough &= ends - starts <= max_record
        count = len(enough) if enough.all() else int(enough.argmin())
        starts, ends, first = starts[:count], ends[:count], first[:count]
        low_start = commas[first + self.low - 1] + 1 if self.low else starts
        high_end = commas[first + self.high] if self.high < needed else ends - 1 - (octets[ends - 2] == CR)
        return np.stack(
            (starts, low_start, commas[first + self.low], commas[first + self.high - 1] + 1, high_end, ends), axis=1
        )

    def _numbers(self, block: bytes, edges: Offsets, max_record: int, learn: Learn) -> list[int]:
        """The numbers of the frames of some lines in order; from the first that is no record by itself on, UNKNOWN."""
        rows = edges.tolist()
        frames = [b"\n".join((block[a:b], block[c:d], block[e:f])) for a, b, c, d, e, f in rows]
        new = [n for n, frame in enumerate(frames) if frame not in self.known]
        lines = [block[rows[n][0] : rows[n][5]] for n in new]
        numbers = self._learn(lines, max_record, learn)
        self.known |= {frames[n]: number for n, number in zip(new, numbers, strict=False)}
        known = len(frames) if len(numbers) == len(new) else new[len(numbers)]
        return [self.known[frame] for frame in frames[:known]] + [UNKNOWN] * (len(frames) - known)

    def _learn(self, lines: list[bytes], max_record: int, learn: Learn) -> list[int]:
        """The numbers of new frames, by a line of each, up to the first line that is no record by itself."""
        if not lines:
            return []
        if all(SIMPLE.fullmatch(cell) for line in lines for cell in line.rstrip(b"\r\n").split(b",")[: self.high + 1]):
            found = records.split(b"".join(lines), columns=self.columns, limit=len(lines), max_record=max_record, final=False)
            bounds = np.cumsum([len(line) for line in lines])
            if len(found.ends) == len(lines) and (found.ends == bounds).all():
                return learn(found.columns)
        middle = len(lines) // 2
        numbers = self._learn(lines[:middle], max_record, learn)
        if not middle or len(numbers) < middle:
            return numbers
        return numbers + self._learn(lines[middle:], max_record, learn)


def _encode(block: bytes, edges: Offsets) -> tuple[pa.Array, Offsets]:
    """The distinct pieces that the edges cut lines into, and the five of each line as indices among them."""
    offsets = np.append(edges[:, :5].ravel(), edges[-1:, 5]).astype(np.int32)
    count = 5 * len(edges)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block)] if count else [None, pa.py_buffer(bytes(4)), pa.py_buffer(b"")]
    encoded = pa.Array.from_buffers(pa.binary(), count, buffers).dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64).reshape(-1, 5)


def _cells(pieces: pa.Array, codes: Offsets) -> Cells:
    """One of the five pieces of each line as texts; UNKNOWN where it is not plain."""
    first, indices = _distinct(codes)
    found = pieces.take(pa.array(codes[first])).to_pylist()
    # Nearly always all are, and one look at all together is a tenth of a look at each.
    together = b"".join([each + b"\n" for each in found])
    if ALL_PLAIN.fullmatch(together):
        return Cells(together.replace(b'"', b"").decode().split("\n")[:-1], indices)
    plain = np.array([PLAIN.fullmatch(each) is not None for each in found], np.bool_)
    texts = [each.strip(b'"').decode(errors="replace") for each in found]
    return Cells(texts, np.where(plain[indices], indices, UNKNOWN))


def _distinct(keys: Offsets) -> tuple[Offsets, Offsets]:
    """Where each distinct key comes first, in order of appearance, and each key's number among them. Hashed, not sorted."""
    encoded = pa.array(keys).dictionary_encode()
    numbers = encoded.indices.to_numpy().astype(np.int64)
    first = np.empty(len(encoded.dictionary), np.int64)
    first[numbers[::-1]] = np.arange(len(keys) - 1, -1, -1)
    return first, numbers

"""Finds records that are lines like others before, a block at a time: the fast way through a file that repeats itself.

The lines of one series differ in two cells, such as time and value, named `low` and `high` by their order in the line. What
stands around the two is the line's *frame*. Of these lines, with the columns time, metric, GPU, value and labels,

    12:00:01,POWER,GPU-1,250.5,pod-a
    12:00:01,POWER,GPU-2,91,pod-b
    12:00:02,POWER,GPU-1,251,pod-a

the first is cut at its six edges into five pieces: "" | "12:00:01" | ",POWER,GPU-1," | "250.5" | ",pod-a" with its line end.
Its frame is the first, third and fifth piece; `low` is 12:00:01, `high` is 250.5. The third line has the same frame.

A frame is learnt from one line of it, read as `records` reads any: here from the first line and from the second. The format
is given the cells of both (`Learn`) and gives each frame a number. Of the third line, nothing is looked at but its two
cells: it is known to be one record, and to say what the first said but for them. A block of a hundred thousand lines has a
hundred frames; so nearly all the work is on arrays, and on the distinct texts of cells.

That a line with a known frame is one record holds only where its two cells are *plain*: no quote, comma or line end inside,
ASCII. And a cell before them with a quoted comma would put the edges elsewhere, so such a frame is not learnt. Reading ends at
the first line where any of this fails; from there `records` reads on. A property test holds the two together.

Other cells taken as plain, or lines as like, are a change of meaning: raise the versions of the formats that use this, as
`telemetry.formats.base` says.
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
# A cell that stands for its own text, in quotes or not: what each of the two must be.
PLAIN = re.compile(rb'[ !#-+\--~\t]*|"[ !#-+\--~\t]*"')
ALL_PLAIN = re.compile(rb'(?:(?:"[ !#-+\--~\t]*+"|[ !#-+\--~\t]*+)\n)*+')
# A cell before the last of the two, in a line cut at every comma: it may hold anything but commas, quotes and line ends.
SIMPLE = re.compile(rb'[^",\r\n]*|"[^",\r\n]*"')
MAX_FRAMES = 100_000
UNKNOWN = -1

Offsets = NDArray[np.int64]
# Given some records by column (an array a column, an entry a record), gives each record the number of its frame.
Learn = Callable[[list[pa.Array]], list[int]]


@dataclass(frozen=True, slots=True)
class Cells:
    """One cell of each record: its index into distinct texts, which stand without quotes."""

    texts: list[str]
    codes: Offsets


@dataclass(frozen=True, slots=True)
class Lines:
    """Records at the beginning of a block, one a line: record n is bytes [bounds[n], bounds[n + 1]) of it.

    `frames` has the number of each record's frame, `low` and `high` its two cells; `bounds` has an entry more than they.
    """

    bounds: Offsets
    frames: Offsets
    low: Cells
    high: Cells


@dataclass(slots=True)
class Frames:
    """The frames seen under one header of so many columns, each with its number; `low` < `high` are the columns that vary."""

    columns: int
    low: int
    high: int
    known: dict[bytes, int] = field(default_factory=dict)

    def find(self, block: bytes, max_record: int, learn: Learn) -> Lines:
        """The records at the beginning of a block, up to the first line that `records` must read or that is not complete."""
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
        """Where lines are to be cut: for each of n lines six offsets in the block, an array n x 6.

        They are the line's beginning, beginning and end of `low`, beginning and end of `high`, and the line's end. Lines are
        taken up to the first that is too long or has too few commas to have these cells.
        """
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
        """The number of the frame of each of some lines; UNKNOWN from the first line on that is not one record."""
        rows = edges.tolist()
        frames = [b"\n".join((block[a:b], block[c:d], block[e:f])) for a, b, c, d, e, f in rows]
        new = [n for n, frame in enumerate(frames) if frame not in self.known]
        lines = [block[rows[n][0] : rows[n][5]] for n in new]
        numbers = self._learn(lines, max_record, learn)
        self.known |= {frames[n]: number for n, number in zip(new, numbers, strict=False)}
        known = len(frames) if len(numbers) == len(new) else new[len(numbers)]
        return [self.known[frame] for frame in frames[:known]] + [UNKNOWN] * (len(frames) - known)

    def _learn(self, lines: list[bytes], max_record: int, learn: Learn) -> list[int]:
        """The numbers of new frames, from a line of each, up to the first line that is not one record.

        All lines are tried together; where that fails, each half by itself.
        """
        if not lines:
            return []
        if all(SIMPLE.fullmatch(cell) for line in lines for cell in line.rstrip(b"\r\n").split(b",")[: self.high + 1]):
            taken = records.split(b"".join(lines), columns=self.columns, limit=len(lines), max_record=max_record, final=False)
            bounds = np.cumsum([len(line) for line in lines])
            if len(taken.ends) == len(lines) and (taken.ends == bounds).all():
                return learn(taken.columns)
        middle = len(lines) // 2
        numbers = self._learn(lines[:middle], max_record, learn)
        if not middle or len(numbers) < middle:
            return numbers
        return numbers + self._learn(lines[middle:], max_record, learn)


def _encode(block: bytes, edges: Offsets) -> tuple[pa.Array, Offsets]:
    """The distinct pieces that n lines are cut into at their edges, and which five make each line: indices, an array n x 5."""
    offsets = np.append(edges[:, :5].ravel(), edges[-1:, 5]).astype(np.int32)
    count = 5 * len(edges)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(block)] if count else [None, pa.py_buffer(bytes(4)), pa.py_buffer(b"")]
    encoded = pa.Array.from_buffers(pa.binary(), count, buffers).dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64).reshape(-1, 5)


def _cells(pieces: pa.Array, codes: Offsets) -> Cells:
    """One of the five pieces of each line as a cell; `codes` are indices among all pieces. UNKNOWN where it is not plain."""
    first, indices = _distinct(codes)
    cells = pieces.take(pa.array(codes[first])).to_pylist()
    # Nearly always all are plain, and one look at all together is a tenth of a look at each.
    together = b"".join([cell + b"\n" for cell in cells])
    if ALL_PLAIN.fullmatch(together):
        return Cells(together.replace(b'"', b"").decode().split("\n")[:-1], indices)
    plain = np.array([PLAIN.fullmatch(cell) is not None for cell in cells], np.bool_)
    texts = [cell.strip(b'"').decode(errors="replace") for cell in cells]
    return Cells(texts, np.where(plain[indices], indices, UNKNOWN))


def _distinct(keys: Offsets) -> tuple[Offsets, Offsets]:
    """Where each distinct key comes first, in order of appearance, and each key's number among them. Hashed, not sorted."""
    encoded = pa.array(keys).dictionary_encode()
    numbers = encoded.indices.to_numpy().astype(np.int64)
    first = np.empty(len(encoded.dictionary), np.int64)
    first[numbers[::-1]] = np.arange(len(keys) - 1, -1, -1)
    return first, numbers

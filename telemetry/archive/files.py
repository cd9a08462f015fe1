"""The Parquet file of a day: a row a sample, with all that tells what it is, in plain types that any reader of Parquet knows.

Rows are in order of (metric, told_as, series, time). A row group holds whole series, a million rows or a little less, so that
no more is in memory when one is written or read, and statistics tell which groups a question touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from telemetry.archive.places import ArchiveError
from telemetry.archive.runs import Content, Run
from telemetry.readings.arrays import Int64s
from telemetry.store.read.archivable import Series, Stretch, held
from telemetry.store.sealed_rows import Samples

TEXT = pa.dictionary(pa.int32(), pa.string())
TIME = pa.timestamp("us", "UTC")
# The columns of the SQL function `readings` come first, under its names.
SCHEMA = pa.schema(
    [
        pa.field("time", TIME, nullable=False),
        pa.field("metric", TEXT, nullable=False),
        pa.field("unit", TEXT),
        pa.field("gpu", TEXT, nullable=False),
        pa.field("host", TEXT),
        pa.field("index", pa.int32()),
        pa.field("model", TEXT),
        pa.field("labels", TEXT, nullable=False),
        pa.field("owner", TEXT),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("uuid", TEXT),
        pa.field("device", TEXT),
        pa.field("driver_version", TEXT),
        pa.field("edges", TEXT),
        pa.field("told_as", TEXT, nullable=False),
        pa.field("series", TEXT, nullable=False),
    ]
)
KEY = ("metric", "told_as", "series")
OF_SERIES = (
    *("metric", "unit", "gpu", "host", "model", "labels", "uuid", "device", "driver_version", "edges", "told_as", "series"),
)
TEXTS = (*OF_SERIES, "owner")
GROUP_ROWS = 1_000_000
# Times of a scrape come again with each metric: as a dictionary they take half. Values as they are take less than as one.
DICTIONARY_BYTES = 4 << 20
ZSTD_LEVEL = 8
NOBODY_KNOWN = -1


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of a row group: codes into the texts of each column (-1 for null), and the numbers."""

    texts: dict[str, tuple[Int64s, list[str]]]
    index: NDArray[Any]
    ts_us: Int64s
    values: NDArray[np.float64]


class Writer:
    """Writes the file of a day, group by group."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def add(self, series: Sequence[Series], samples: Sequence[Samples], owners: dict[tuple[int, str], list[Stretch]]) -> None:
        """Write some series as a row group."""
        numbers = [len(each.ts_us) for each in samples]
        of = np.repeat(np.arange(len(series)), numbers)
        columns = {name: _texts([getattr(one, name) for one in series], of) for name in OF_SERIES}
        columns["owner"] = _owners(series, samples, owners)
        columns["time"] = pa.array(np.concatenate([each.ts_us for each in samples])).view(TIME)
        columns["value"] = pa.array(np.concatenate([each.values for each in samples]))
        index = np.array([-1 if one.index is None else one.index for one in series], np.int32)
        columns["index"] = pa.array(index[of], mask=np.array([one.index is None for one in series])[of])
        table = pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
        self._file.write_table(table, row_group_size=max(1, len(table)))

    def tell(self, content: Content) -> None:
        """Say in the file's metadata what it holds."""
        self._file.add_key_value_metadata({f"telemetry.{name}": str(value) for name, value in content._asdict().items()})


@contextmanager
def writer(stream: Any) -> Iterator[Writer]:
    """What writes the file of a day to a stream, which stays open."""
    file = pq.ParquetWriter(
        stream,
        SCHEMA,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in SCHEMA.names if name != "value"],
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        write_page_index=True,
        # Else a reader gets Arrow's dictionaries, and not texts.
        store_schema=False,
    )
    with file:
        yield Writer(file)


def pieces(series: Sequence[Series]) -> Iterator[Sequence[Series]]:
    """Series by row groups: at most GROUP_ROWS in each, or a single series."""
    ends = list(accumulate(one.samples for one in series))
    begin = 0
    while begin < len(series):
        before = ends[begin - 1] if begin else 0
        end = begin + 1
        while end < len(series) and ends[end] - before <= GROUP_ROWS:
            end += 1
        yield series[begin:end]
        begin = end


def runs(stream: Any) -> Iterator[Run]:
    """What a file holds, run by run. Raises ArchiveError for what is no file of an archive."""
    for group in groups(stream, KEY):
        codes = [group.texts[name][0] for name in KEY]
        begins = starts(*codes)
        for begin, end in zip(begins, [*begins[1:], len(group.ts_us)], strict=True):
            metric, told_as, series = (group.texts[name][1][int(group.texts[name][0][begin])] for name in KEY)
            yield Run((metric, told_as, series), group.ts_us[begin:end], group.values[begin:end])


def groups(stream: Any, names: Sequence[str] = TEXTS) -> Iterator[Group]:
    """The row groups of a file, with some of its texts. Raises ArchiveError for what is no file of an archive."""
    columns = [*names, "time", "value", *(["index"] if len(names) == len(TEXTS) else [])]
    try:
        file = pq.ParquetFile(stream, read_dictionary=list(names))
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=columns).unify_dictionaries().combine_chunks()
            if table.num_rows:
                yield _group(table, names)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"it is no file of an archive: {str(error).partition(chr(10))[0]}") from None


def starts(*codes: Int64s) -> list[int]:
    """The rows at which one of the columns differs from the row before, the first included."""
    differs = np.zeros(len(codes[0]), np.bool_)
    differs[:1] = True
    for column in codes:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs).tolist()


def _group(table: pa.Table, names: Sequence[str]) -> Group:
    texts = {}
    for name in names:
        column = table.column(name).chunk(0)
        texts[name] = column.indices.fill_null(NOBODY_KNOWN).to_numpy().astype(np.int64), column.dictionary.to_pylist()
    numbers = [table.column(name) for name in ("time", "value")]
    if any(column.null_count for column in numbers) or any((texts[name][0] < 0).any() for name in KEY):
        raise ValueError("it has rows without a time, a value or a series")
    index = table.column("index").chunk(0).fill_null(NOBODY_KNOWN).to_numpy() if "index" in table.column_names else np.empty(0)
    time, values = (column.chunk(0) for column in numbers)
    if time.type != TIME or values.type != pa.float64():
        raise ValueError("its times or values are of another type")
    return Group(texts, index, time.view(pa.int64()).to_numpy(), values.to_numpy())


def _texts(values: Sequence[str | None], of: Int64s) -> pa.DictionaryArray:
    """A column of texts: one for each series, `of` says which row is of which."""
    distinct = sorted({value for value in values if value is not None})
    places = {value: place for place, value in enumerate(distinct)}
    codes = np.array([NOBODY_KNOWN if value is None else places[value] for value in values], np.int32)
    return _coded(codes[of], distinct)


def _owners(
    series: Sequence[Series], samples: Sequence[Samples], owners: dict[tuple[int, str], list[Stretch]]
) -> pa.DictionaryArray:
    """Who had the GPU at the time of each sample; null where that is not known, or a series names its own owner."""
    distinct: dict[str, int] = {}
    parts = []
    for one, each in zip(series, samples, strict=True):
        known = [] if one.instance is None else owners.get((one.gpu_id, one.instance), [])
        codes, labels = held(known, each.ts_us)
        places = np.array([*(distinct.setdefault(label, len(distinct)) for label in labels), NOBODY_KNOWN], np.int32)
        parts.append(places[codes])
    return _coded(np.concatenate(parts), list(distinct))


def _coded(codes: NDArray[np.int32], texts: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(texts, pa.string()))

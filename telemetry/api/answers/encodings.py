"""The formats a table is answered in: which one a request wants, and how rows become its bytes.

Rows come from `telemetry.api.answers.tables` in pieces, so that an answer of any length takes the same memory.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from typing import Any, get_args

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from flask import request
from pydantic import BaseModel

from telemetry.api.core.parameters import Format
from telemetry.api.core.problems import ProblemError

MEDIA: dict[Format, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", "UTC")}
ROW_GROUP = 50_000


def wanted(named: Format | None) -> Format:
    """The format of the answer: the one named, or what Accept likes best. Raises ProblemError if it likes none."""
    if named is not None:
        return named
    if not request.accept_mimetypes:
        return "json"
    media = request.accept_mimetypes.best_match(MEDIA.values())
    for name, each in MEDIA.items():
        if each == media:
            return name
    raise ProblemError("not_acceptable", f"this is answered as {', '.join(MEDIA.values())}; name one in Accept")


def json(value: Any) -> bytes:
    """As JSON. Times are RFC 3339 in UTC; what JSON has no word for, such as NaN, is null."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def ndjson(rows: Iterable[list[dict[str, Any]]]) -> Generator[bytes]:
    """A line of JSON for each row."""
    for some in rows:
        yield b"".join([orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in some])


def arrow(csv: Iterator[bytes], item: type[BaseModel]) -> Generator[bytes]:
    """An Arrow IPC stream of what CSV without a header says, in pieces of whole rows."""
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema(item)) as writer:
        for batch in _batches(csv, item):
            writer.write_batch(batch)
            yield sink.taken()
    yield sink.taken()


def parquet(csv: Iterator[bytes], item: type[BaseModel]) -> Generator[bytes]:
    """A Parquet file of the same, a row group at a time."""
    sink = _Sink()
    with pa.parquet.ParquetWriter(sink, schema(item), compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in _batches(csv, item):
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
                yield sink.taken()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    yield sink.taken()


def schema(item: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a kind of row; what is no plain value, such as labels, is JSON in text."""
    return pa.schema([(name, _type(field.annotation)) for name, field in item.model_fields.items()])


def _type(annotation: Any) -> pa.DataType:
    plain = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    return ARROW.get(plain[0], pa.string())


def _batches(csv: Iterator[bytes], item: type[BaseModel]) -> Iterator[pa.RecordBatch]:
    columns = schema(item)
    # Quotes tell an empty text from none.
    convert = pa.csv.ConvertOptions(
        column_types=columns,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["t"],
        false_values=["f"],
    )
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    for piece in filter(None, csv):
        read = pa.csv.ReadOptions(column_names=columns.names, block_size=len(piece) + 1, use_threads=False)
        found = pa.csv.read_csv(pa.BufferReader(piece), read_options=read, parse_options=parse, convert_options=convert)
        yield from found.to_batches()


class _Sink(io.RawIOBase):
    """A file to write, whose bytes are taken out again as they come."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        """Keep bytes until they are taken."""
        self._written.append(bytes(data))
        return len(self._written[-1])

    def taken(self) -> bytes:
        """What was written since."""
        found = b"".join(self._written)
        self._written.clear()
        return found

"""Tables as columns: Arrow streams and Parquet files, in pieces: of arrays, or of the CSV that Postgres writes."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any, get_args

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import BaseModel

ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: pa.timestamp("us", "UTC")}
ROW_GROUP = 50_000


def arrow(batches: Iterator[pa.RecordBatch], item: type[BaseModel]) -> Generator[bytes]:
    """An Arrow IPC stream of batches of the schema of a kind of row."""
    sink = _Sink()
    with pa.ipc.new_stream(sink, schema(item)) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def parquet(batches: Iterator[pa.RecordBatch], item: type[BaseModel]) -> Generator[bytes]:
    """A Parquet file of such batches, a row group at a time."""
    sink = _Sink()
    with pa.parquet.ParquetWriter(sink, schema(item), compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
                yield sink.take()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    yield sink.take()


def schema(item: type[BaseModel]) -> pa.Schema:
    """The Arrow schema of a kind of row. A field that is not a plain value, such as labels, is text: its JSON."""
    return pa.schema([(name, _type(field.annotation)) for name, field in item.model_fields.items()])


def times(item: type[BaseModel]) -> set[str]:
    """The names of the fields that hold times."""
    return {name for name, field in item.model_fields.items() if _type(field.annotation) == ARROW[datetime]}


def _type(annotation: Any) -> pa.DataType:
    plain = [option for option in get_args(annotation) if option is not type(None)] or [annotation]
    return ARROW.get(plain[0], pa.string())


def of_csv(csv: Iterator[bytes], item: type[BaseModel]) -> Iterator[pa.RecordBatch]:
    """Batches of CSV without a header."""
    columns = schema(item)
    # Quotes tell an empty text from null.
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
        table = pa.csv.read_csv(pa.BufferReader(piece), read_options=read, parse_options=parse, convert_options=convert)
        yield from table.to_batches()


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

    def take(self) -> bytes:
        """The bytes written since they were taken last."""
        taken = b"".join(self._written)
        self._written.clear()
        return taken

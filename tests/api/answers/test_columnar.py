"""Arrow and Parquet of CSV: the types of a model, and null told from an empty text."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import BaseModel

from telemetry.api.answers import columnar

CSV = [b'1,"",2025-07-18T20:42:34.5Z,1.5,"{""a"": ""b""}",t\n', b"", b'2,,,,"{}",f\n']


class Item(BaseModel):
    """A kind of row with a field of each type."""

    number: int
    text: str | None
    time: datetime | None
    value: float | None
    labels: dict[str, str]
    flag: bool


ROWS = [
    {
        "number": 1,
        "text": "",
        "time": datetime(2025, 7, 18, 20, 42, 34, 500_000, tzinfo=UTC),
        "value": 1.5,
        "labels": '{"a": "b"}',
        "flag": True,
    },
    {"number": 2, "text": None, "time": None, "value": None, "labels": "{}", "flag": False},
]


def test_arrow_has_the_rows_and_types_of_the_model() -> None:
    table = pa.ipc.open_stream(b"".join(columnar.arrow(columnar.of_csv(iter(CSV), Item), Item))).read_all()
    assert table.to_pylist() == ROWS
    assert table.schema == columnar.schema(Item)


@pytest.mark.parametrize("row_group", [1, 50_000])
def test_parquet_has_the_same_in_row_groups(row_group: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "ROW_GROUP", row_group)
    file = pa.parquet.ParquetFile(io.BytesIO(b"".join(columnar.parquet(columnar.of_csv(iter(CSV), Item), Item))))
    assert (file.read().to_pylist(), file.num_row_groups) == (ROWS, 2 if row_group == 1 else 1)


def test_a_table_without_rows_has_its_columns() -> None:
    empty = b"".join(columnar.arrow(columnar.of_csv(iter([b""]), Item), Item))
    assert pa.ipc.open_stream(empty).read_all().column_names == list(Item.model_fields)

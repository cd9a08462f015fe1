"""Arrow tables and their shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from telemetry.client import frames

TIME = datetime(2025, 7, 18, tzinfo=UTC)


def table(**more: list[Any]) -> pa.Table:
    rows = len(next(iter(more.values())))
    return pa.table({"timestamp": [TIME] * rows, "gpu": ["g"] * rows, "value": [1.0] * rows, **more})


def test_labels_are_columns_and_what_repeats_is_a_category() -> None:
    labels = ['{"pod": "p", "namespace": ""}', "{}", '{"gpu": "x", "pod": "q"}']
    expanded = frames.expanded(table(labels=labels))
    assert expanded.column_names == ["timestamp", "gpu", "value", "label_gpu", "namespace", "pod"]
    assert (expanded["pod"].to_pylist(), expanded["namespace"].to_pylist()) == (["p", None, "q"], ["", None, None])
    assert expanded["label_gpu"].to_pylist() == [None, None, "x"]
    assert pa.types.is_dictionary(expanded.schema.field("gpu").type)
    assert frames.expanded(table(labels=[])).column_names == ["timestamp", "gpu", "value"]


def test_two_values_at_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="several series"):
        frames.wide(table(metric=["a", "a"]), ["metric", "gpu"])
    whole = frames.wide(table(metric=["b", "a"]), ["metric", "gpu"])
    assert (whole.column_names, whole.num_rows) == (["timestamp", "a g", "b g"], 1)


def test_no_tables_are_a_table_without_rows() -> None:
    assert frames.joined([]).num_rows == 0
    assert frames.wide(frames.joined([]), ["gpu"]).column_names == ["timestamp"]

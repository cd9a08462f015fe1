"""Samples are brought into key order, each key once, and the first row of a key stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.store.write.samples import arrange

ROWS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3), st.sampled_from([0.0, 1.0])), max_size=30)


@given(ROWS)
def test_the_first_row_of_a_key_stays_and_the_others_are_counted(rows: list[tuple[int, int, float]]) -> None:
    first: dict[tuple[int, int], float] = {}
    duplicate = conflict = 0
    for series, ts, value in rows:
        if (series, ts) not in first:
            first[series, ts] = value
        elif first[series, ts] == value:
            duplicate += 1
        else:
            conflict += 1
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.empty(0), np.empty(0), np.empty(0)]
    arranged = arrange([(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2].astype(np.float64))])
    assert list(zip(zip(arranged.series, arranged.ts_us, strict=True), arranged.values, strict=True)) == sorted(first.items())
    assert arranged.expected.duplicate.tolist() == [duplicate]
    assert arranged.expected.conflict.tolist() == [conflict]

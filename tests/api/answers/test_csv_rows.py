"""CSV of arrays is that of Postgres, byte for byte: numbers, times, nulls, and texts that must be quoted or made neutral."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Double, Engine, Text, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import func

from telemetry.api.answers import csv_rows, exports
from telemetry.api.core.connections import Connections
from telemetry.settings import Settings
from telemetry.store.models import Time
from telemetry.store.read.sealed.columns import Coded, Columns, Partial, Times
from telemetry.store.sealed_rows import time_of
from tests.examples import examples

NAMES = ["timestamp", "label.a,b", "text", "number", "value", "part"]
ODD = [0.0, -0.0, 1e15, 1e16, 1234567890123450.0, 9.99e14, 1e-4, 9.9e-5, 5e-324, 1e22, 0.1, 50.0, float("nan"), float("inf")]
FLOATS = st.one_of(st.floats(), st.sampled_from(ODD), st.integers(-(10**17), 10**17).map(float), st.floats(-100, 100))
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "=1+1", "-x", "100%", 'a "b",c', "d\ne", "\tf", "g"]), st.text("ä%\"',=+ \r\n")
)
ROWS = st.lists(
    st.tuples(st.integers(0, 4 * 10**15), TEXTS, TEXTS, st.integers(-(2**60), 2**60), FLOATS, st.one_of(st.none(), FLOATS)),
    max_size=12,
)


@pytest.fixture
def api_engine(settings: Settings) -> Iterator[Engine]:
    """The engine of the API, whose connections have a limit on silence."""
    connections = Connections(settings)
    yield connections.engine
    connections.close()


def coded(cells: list[Any]) -> Coded:
    names = list(dict.fromkeys(cells))
    return Coded(np.array([names.index(cell) for cell in cells], np.int64), names)


@hypothesis_settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, neutral=st.booleans())
def test_rows_of_arrays_are_written_as_postgres_writes_them(
    api_engine: Engine, rows: list[tuple[Any, ...]], neutral: bool
) -> None:
    cells: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in NAMES]
    times, label, texts, numbers, values, parts = cells
    columns: Columns = {
        "timestamp": Times(np.array(times, np.int64)),
        "label.a,b": coded(label),
        "text": coded(texts),
        "number": np.array(numbers, np.int64),
        "value": np.array(values, np.float64),
        "part": Partial(
            np.array([0.0 if part is None else part for part in parts]),
            np.array([part is not None for part in parts], np.bool_),
        ),
    }
    kinds: tuple[Any, ...] = (Time, Text, Text, BigInteger, Double, Double)
    given_ = ([time_of(at) for at in times], label, texts, numbers, values, parts)
    arrays: list[Any] = [literal(some, ARRAY(kind)) for some, kind in zip(given_, kinds, strict=True)]
    of = (
        func.unnest(*arrays)
        .table_valued("c0", "c1", "c2", "c3", "c4", "c5", with_ordinality="place", name="of")
        .render_derived()
    )
    shown: list[Any] = [
        of.c[f"c{place}"].cast(kind).label(name) for place, (name, kind) in enumerate(zip(NAMES, kinds, strict=True))
    ]
    statement = select(*shown).order_by(of.c.place)
    by_sql = b"".join(exports.copied(api_engine, statement, NAMES, times={"timestamp"}, header=True, neutral=neutral))
    assert b"".join(csv_rows.written([columns], NAMES, neutral=neutral)).decode() == by_sql.decode()

"""Remote read on the wire, held against Google's protocol buffers."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from telemetry.api.answers import prometheus_wire
from telemetry.api.answers.prometheus_wire import WireError
from telemetry.readings.matchers import Matcher
from telemetry.store.read.history.exposed import Points
from tests.fixtures import remote_read

MOST = 1 << 20
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(start=INT64, end=INT64, matchers=st.lists(st.tuples(TEXTS, st.sampled_from(remote_read.TYPES), TEXTS), max_size=4))
def test_requests_are_read(start: int, end: int, matchers: list[tuple[str, str, str]]) -> None:
    (query,) = prometheus_wire.read(remote_read.request(start, end, *matchers, function="rate"), MOST)
    assert query == (start, end, [Matcher(*each) for each in matchers], "rate")  # type: ignore[arg-type]


@given(
    ts_ms=arrays(np.int64, st.integers(0, 50), elements=st.integers(-(2**63), 2**63 - 1)),
    label=TEXTS.filter(bool),
    value=TEXTS,
    seed=st.integers(0, 1000),
)
def test_answers_are_understood(ts_ms: np.ndarray, label: str, value: str, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=len(ts_ms))
    labels = ((label, value), ("z" * 200, "1"))
    body = prometheus_wire.written([{labels: Points(ts_ms, values)}, {}])
    assert remote_read.response(body) == [{labels: list(zip(ts_ms.tolist(), values.tolist(), strict=True))}, {}]


@given(body=st.binary(max_size=60))
def test_bytes_that_are_no_request_are_refused_and_never_fail(body: bytes) -> None:
    for sent in (body, pa.Codec("snappy").compress(body, asbytes=True)):
        with suppress(WireError):
            assert isinstance(prometheus_wire.read(sent, MOST), list)


def test_a_request_that_unpacks_to_too_much_is_refused_before() -> None:
    bomb = pa.Codec("snappy").compress(bytes(MOST + 1), asbytes=True)
    with pytest.raises(WireError, match="longer than 1048576 bytes"):
        prometheus_wire.read(bomb, MOST)
    with pytest.raises(WireError, match="not compressed"):
        prometheus_wire.read(b"\x80\x80\x40garbage", MOST)

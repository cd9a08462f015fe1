"""The message: what goes in comes out, and a stranger's bytes never get further than an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.readings import wire
from telemetry.readings.digests import digest
from telemetry.readings.payload import DECODER, ENCODER, MAX_ROWS
from telemetry.readings.rows import QuarantinedRow, Readings
from telemetry.simulate.behaviour import METRICS
from tests.batches import batch, key, of_before, readings

ROWS = readings(
    (key(), 0, 1.5),
    (key(gpu="GPU-2", pod="é"), 1, -0.0),
    (key(), 2, 1e300),
    quarantined=(QuarantinedRow(70, 9, "bad_value", b"\xff\x00"),),
)


def same(one: Readings, other: Readings) -> bool:
    return (
        [one.series[code] for code in one.codes] == [other.series[code] for code in other.codes]
        and np.array_equal(one.ts_us, other.ts_us)
        and np.array_equal(one.values, other.values)
        and (one.blank, one.quarantined, one.records) == (other.blank, other.quarantined, other.records)
    )


@pytest.mark.parametrize("content", [ROWS, Readings.of_quarantined([])], ids=["rows", "none"])
def test_what_goes_in_comes_out(content: Readings) -> None:
    sent = batch(content)
    came = wire.decode(*wire.encode(sent))
    assert same(came.readings, content)
    assert (came.batch_id, came.source, came.start, came.end) == (sent.batch_id, sent.source, sent.start, sent.end)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 0}, "no longer accepted"),
        ({"version": "1"}, "version"),
        ({"edge": None}, "header.edge"),
        ({"edge": "a\0"}, "contains NUL or lone surrogates"),
        ({"edge": "\ud800"}, "contains NUL or lone surrogates"),
        ({"source": []}, "header.source"),
        ({"start": 200}, "start must not exceed end"),
        ({"end": 1 << 70}, "header.end"),
        ({"end": -1}, "header.end"),
        ({"first_line": True}, "header.first_line"),
        ({"first_line": 2.0}, "header.first_line"),
        ({"batch_id": b"b1"}, "header.batch_id"),
        ({"source": {}}, "header.source"),
        ({"source": {"id": "", "path": "\0", "fingerprint": "", "format": "", "anchor": None}}, "header.source.path contains"),
        ({"digest": "0" * 32}, "digest"),
        ({"size": 1 << 40}, "must unpack to at most"),
        ({"size": 17}, "unpacked"),
        ({"rows": {"read": 7, "blank": 0, "quarantined": 0, "records": 4}}, "holds 4 rows, the header says 7"),
        ({"rows": {"read": 4, "blank": 0, "quarantined": 1, "records": 1 << 40}}, "at most 200000 rows"),
        ({"rows": {"read": 4, "blank": 0, "quarantined": 1}}, "missing required field `records`"),
        ({"version": 1, "rows": {"blank": 0, "quarantined": 1}}, "header.rows"),
        ({"version": 1, "rows": None}, "header.rows"),
    ],
)
def test_a_wrong_header_is_refused_with_its_reason(changes: dict[str, Any], says: str) -> None:
    header, payload = wire.encode(batch(ROWS))
    with pytest.raises(wire.WireError, match=says):
        wire.decode({**header, **changes}, payload)


@pytest.mark.parametrize("content", [ROWS, Readings.of_quarantined([]), Readings.of_quarantined(ROWS.quarantined)])
def test_what_the_version_before_sent_is_read(content: Readings) -> None:
    assert same(wire.decode(*of_before(content)).readings, content)


def test_a_small_message_takes_few_bytes() -> None:
    """A hundred readings of as many series."""
    texts = [key(metric, f"GPU-{n}", pod=f"train-{n}") for n in range(4) for metric in METRICS[:25]]
    content = readings(*((text, 0, float(n)) for n, text in enumerate(texts)))
    (_, payload), (_, before) = wire.encode(batch(content)), of_before(content)
    assert len(payload) < 0.8 * len(before)


def test_version_1_has_a_record_for_each_row() -> None:
    header, payload = wire.encode(batch(replace(ROWS, blank=3, records=2)))
    assert header["version"] == 3
    assert header["rows"] == {"read": 7, "blank": 3, "quarantined": 1, "records": 2}
    assert wire.check_header(header) == header
    assert wire.decode(header, payload).readings.records == 2
    header, payload = of_before(replace(ROWS, blank=3, records=2))
    old = {**header, "version": 1, "rows": {"read": 7, "blank": 3, "quarantined": 1}}
    assert wire.check_header(old) == {**old, "rows": {**header["rows"], "records": 7}}
    assert wire.check_header(wire.check_header(old)) == wire.check_header(old)
    came = wire.decode(old, payload)
    assert (came.readings.rows, came.readings.records, came.readings.blank) == (7, 7, 3)


def test_a_newer_version_is_told_apart() -> None:
    header, payload = wire.encode(batch(ROWS))
    with pytest.raises(wire.NewerVersionError):
        wire.decode({**header, "version": wire.VERSION + 1}, payload)


@pytest.mark.parametrize("message", [wire.encode(batch(ROWS)), of_before(ROWS)], ids=["now", "before"])
@given(data=st.data())
def test_no_damage_to_the_payload_gets_through(message: tuple[dict[str, Any], bytes], data: st.DataObject) -> None:
    """Whoever damages the bytes may also fit digest and size: what is made of them must still be whole."""
    header, payload = message
    raw = bytearray(pa.decompress(payload, header["size"], "zstd", asbytes=True))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = pa.compress(bytes(raw), "zstd", asbytes=True)
    try:
        came = wire.decode({**header, "digest": digest(damaged)}, damaged)
    except wire.WireError:
        return
    assert all(0 <= code < len(came.readings.series) for code in came.readings.codes)
    assert all(isinstance(text, str) for text in came.readings.series)


@pytest.mark.parametrize(
    "changes",
    [
        {"series": ""},
        {"series": "\n" * MAX_ROWS},
        {"codes": b"", "ts": b"", "values": b""},
        {"codes": np.array([0, 9, 0], "<i4").tobytes()},
        {"codes": np.array([-1, 1, 0], "<i4").tobytes()},
        {"ts": b"1234567"},
        {"values": bytes(8)},
        {"lengths": np.array([1 << 40], "<i8").tobytes()},
        {"lengths": np.array([-1], "<i8").tobytes()},
        {"lines": b""},
        {"reasons": "one\nmore"},
        {"raw": b""},
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    header, payload = wire.encode(batch(ROWS))
    columns = DECODER.decode(pa.decompress(payload, header["size"], "zstd", asbytes=True))
    raw = ENCODER.encode(msgspec.structs.replace(columns, **changes))
    forged = pa.compress(raw, "zstd", asbytes=True)
    with pytest.raises(wire.WireError, match=r"unpacked|holds"):
        wire.decode({**header, "size": len(raw), "digest": digest(forged)}, forged)


def test_a_process_without_memory_does_not_blame_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bytes:
        raise pa.ArrowMemoryError(f"malloc of size {size} failed")

    message = wire.encode(batch(readings((key(), 0, 1.0))))
    monkeypatch.setattr(pa, "decompress", fail)
    size = 4096
    with pytest.raises(MemoryError):
        wire.decode(*message)
    size = 1 << 60
    with pytest.raises(wire.WireError, match="unpacked"):
        wire.decode(*message)


def test_a_bomb_is_not_unpacked() -> None:
    header, _ = wire.encode(batch(ROWS))
    bomb = pa.compress(bytes(wire.MAX_DECODED_BYTES + 1), "zstd", asbytes=True)
    assert len(bomb) < 1 << 20
    for size in (1000, wire.MAX_DECODED_BYTES + 1):
        with pytest.raises(wire.WireError, match="unpack"):
            wire.decode({**header, "digest": digest(bomb), "size": size}, bomb)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
    )
)
def test_a_header_of_anything_is_refused(header: Any) -> None:
    with pytest.raises((wire.WireError, wire.NewerVersionError)):
        wire.decode(header, b"")


@pytest.mark.parametrize("place", [(), ("source",), ("rows",)])
def test_a_key_with_a_lone_surrogate_is_a_message_that_can_never_be_read(place: tuple[str, ...]) -> None:
    header, payload = wire.encode(batch(readings((key(), 0, 1.0))))
    part = header
    for name in place:
        part = part[name]
    part["\ud800"] = 0
    with pytest.raises(wire.WireError, match="surrogates"):
        wire.decode(header, payload)

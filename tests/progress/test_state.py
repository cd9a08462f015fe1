"""The document that a streamer keeps of a source: it survives JSON, and what other versions wrote is read or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.progress.flight import Flight
from telemetry.progress.growth import Note
from telemetry.progress.state import VERSION, Inode, Pace, Prefix, StateError, decode, encode
from telemetry.progress.window import NOT_KNOWN, Window
from tests.states import source_state

# As the version before documents had versions wrote them, to the letter.
BEFORE = """{"path":"/var/dumps/a.csv","fingerprint":"f00","foreign":false,"inode":[64769,131],"size":2000,"grown":[[1500,7],
[2000,9]],"window_bytes":8388608,"rows":14,"begin":[120,2],"prefix":[0,1400,"d1"],"how":"dcgm/2;floor=0;future=1;record=65536",
"window":{"committed":1000,"line":10,"flights":[["b1",1000,1200,10,12,5.25,"boot","epoch",1700000000000000,2,true],
["b2",1200,1400,12,14,5.5,"boot","epoch",1700000000000001,1,false]]},"anchor":null,"first":0,"pass_end":0}"""
FLIGHTS = st.builds(
    lambda number, acked, tries: Flight(f"b{number}", 90, 95, 12, 13, 0.5, "boot", "epoch", 7, tries, acked=acked),
    st.integers(0, 9),
    st.booleans(),
    st.integers(1, 5),
)


@given(
    st.integers(0, 1 << 62),
    st.lists(FLIGHTS, max_size=3),
    st.text(min_size=1),
    st.one_of(st.none(), st.integers(0, 1 << 60)),
)
def test_it_survives_json(size: int, flights: list[Flight], path: str, anchor_us: int | None) -> None:
    state = source_state(
        size_bytes=size, path=path, anchor_us=anchor_us, window=Window(90, 12, tuple(flights)), growth=(Note(size, 3),)
    )
    assert decode(encode(state)) == state


def test_what_the_version_before_wrote_is_read() -> None:
    state = decode(BEFORE)
    assert (state.inode, state.prefix, state.pace) == (Inode(64769, 131), Prefix(0, 1400, "d1"), Pace())
    assert (state.lag_bytes, state.lag_rows, state.all_committed) == (1000, 9, False)
    assert state.growth == (Note(1500, 7), Note(2000, 9))
    assert [(flight.batch_id, flight.tries, flight.acked) for flight in state.window.flights] == [
        ("b1", 2, True),
        ("b2", 1, False),
    ]


def test_the_version_before_reads_what_this_one_writes() -> None:
    written = json.loads(encode(decode(BEFORE)))
    # Names that it does not know it passes over, and what stands behind the fields of a flight.
    assert (written.pop("version"), written.pop("changed"), written["window"].pop("header")) == (VERSION, 0, NOT_KNOWN)
    assert [written.pop(name) for name in ("miss", "unread", "header", "unsteady")] == ["", 0, "", ""]
    assert [written.pop(name) for name in ("packed", "history", "gone")] == [None, "", False]
    assert [flight[11:] for flight in written["window"]["flights"]] == [[0, 0], [0, 0]]
    written["window"]["flights"] = [flight[:11] for flight in written["window"]["flights"]]
    assert written == json.loads(BEFORE)


def test_a_document_without_what_came_later_is_read() -> None:
    early = {name: value for name, value in json.loads(BEFORE).items() if name not in {"grown", "how", "window_bytes"}}
    state = decode(json.dumps(early))
    assert (state.growth, state.interpretation, state.window_bytes, state.window_ratio) == ((), None, 0, 0.0)


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"path": 1}', BEFORE.replace("[64769,131]", "null"), "\xff"])
def test_a_document_that_cannot_be_read_is_an_error_of_its_own(document: str) -> None:
    with pytest.raises(StateError, match="cannot be read"):
        decode(document.encode("latin-1"))


def test_a_document_of_a_newer_version_is_left_to_that() -> None:
    newer = json.dumps(json.loads(BEFORE) | {"version": VERSION + 1})
    with pytest.raises(StateError, match=f"version {VERSION + 1}"):
        decode(newer)


def test_lag_counts_from_the_oldest_byte_or_batch_that_waits() -> None:
    waiting = Window(90, 12).publish(Flight("b", 90, 95, 12, 13, 0.0, "boot", "epoch", 2_000_000))
    assert source_state(window=waiting, size_bytes=95).lag_s(5_000_000) == 3.0
    assert source_state(window=waiting, size_bytes=99, growth=(Note(99, 1_000_000),)).lag_s(5_000_000) == 4.0
    assert source_state(window=waiting, size_bytes=99, growth=(Note(99, 1_000_000),), anchor_us=1).lag_s(5_000_000) == 3.0
    assert source_state().lag_s(5_000_000) == 0.0


@pytest.mark.parametrize("committed", [0, 10, 90])
def test_a_foreign_file_has_no_lag(committed: int) -> None:
    foreign = source_state(foreign=True, window=Window(committed, 2), growth=(Note(90, 1),))
    assert (foreign.lag_bytes, foreign.lag_rows, foreign.lag_s(5_000_000)) == (0, 0, 0.0)
    assert not foreign.all_committed


def test_a_file_grows_while_its_last_change_is_young() -> None:
    changed = source_state(changed_us=10_000_000)
    assert [changed.is_growing(10_000_000 + after_s * 1_000_000, 60) for after_s in (-5, 0, 59, 60, 1000)] == [
        *(True, True, True),
        *(False, False),
    ]
    assert not source_state(changed_us=10_000_000, anchor_us=1).is_growing(10_000_000, 60)
    assert not decode(BEFORE).is_growing(1_700_000_000_000_000, 60)


@pytest.mark.parametrize(("committed", "ratio"), [(10, 0.0), (50, 0.5), (90, 1.0), (0, 0.0), (95, 1.0)])
def test_a_replay_tells_how_far_its_pass_is(committed: int, ratio: float) -> None:
    assert source_state(anchor_us=1, window=Window(committed, 2)).replayed_ratio == ratio
    assert source_state(window=Window(committed, 2)).replayed_ratio is None
    assert source_state(anchor_us=1, window=Window(committed, 2), size_bytes=10).replayed_ratio == 0.0

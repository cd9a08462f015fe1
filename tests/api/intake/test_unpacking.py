"""Unpacking: the same bytes whatever way they come in, a bounded piece at a time."""

from __future__ import annotations

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.api.core.problems import ProblemError
from telemetry.api.intake.unpacking import PIECE_BYTES, unpacked


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [b"", *(data[start:end] for start, end in pairwise(ends)), b""]


@given(
    data=st.binary(max_size=200).filter(lambda data: data[:2] != b"\x1f\x8b"), cuts=st.lists(st.integers(0, 500), max_size=5)
)
def test_plain_bytes_and_gzip_of_any_members_are_the_same(data: bytes, cuts: list[int]) -> None:
    half = len(data) // 2
    for sent in (data, gzip.compress(data), gzip.compress(data[:half]) + gzip.compress(data[half:])):
        pieces = list(unpacked(in_pieces(sent, cuts)))
        assert b"".join(pieces) == data
        assert all(pieces)


def test_what_swells_comes_in_bounded_pieces() -> None:
    sizes = [len(piece) for piece in unpacked([gzip.compress(bytes(10 * PIECE_BYTES))])]
    assert (sum(sizes), max(sizes)) == (10 * PIECE_BYTES, PIECE_BYTES)


@pytest.mark.parametrize(
    ("data", "words"),
    [(gzip.compress(b"abc")[:-3], "is incomplete; send all of it"), (b"\x1f\x8bnonsense", "is damaged")],
    ids=["cut", "damaged"],
)
def test_gzip_that_is_damaged_or_cut_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ProblemError, match=words) as refusal:
        list(unpacked([data]))
    assert refusal.value.code == "unreadable_upload"

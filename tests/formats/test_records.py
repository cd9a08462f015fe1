"""The two ways to split records say the same, and what they say is the grammar of docs/RECORDS.md."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.formats import records
from tests.strategies import HEADER, mangled_files

COLUMNS = HEADER.count(b",") + 1


def split(block: bytes, *, columns: int = 2, limit: int = 100, max_record: int = 64, final: bool = True) -> records.Records:
    return records.split(block, columns=columns, limit=limit, max_record=max_record, final=final)


def rows(found: records.Records) -> list[tuple[str, ...]]:
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def bad(found: records.Records) -> list[tuple[int, int, str]]:
    return [(each.start, each.line, each.reason) for each in found.malformed]


@given(mangled_files(), st.integers(1, 20), st.booleans())
def test_a_clean_block_is_split_as_the_walk_splits_it(block: bytes, limit: int, final: bool) -> None:
    block = block.removeprefix(HEADER)
    clean = records._split_clean(block, COLUMNS, limit, 1000, ",", final=final)
    if clean is not None:
        # It may stop early, before what has to be walked.
        walked = records._walk(block, COLUMNS, clean.rows, 1000, ",", final=final)
        assert rows(clean) == rows(walked)
        assert [list(each) for each in (clean.starts, clean.ends, clean.lines)] == [
            list(each) for each in (walked.starts, walked.ends, walked.lines)
        ]
        assert (clean.end, clean.end_line, clean.malformed) == (walked.end, walked.end_line, walked.malformed)


def test_a_clean_block_takes_the_fast_way() -> None:
    block = b'"a","b"\r\n' * 3 + b'c,"d ""e""\nf"\n'
    assert records._split_clean(block, 2, 10, 64, ",", final=False) is not None


@given(st.binary(max_size=200) | mangled_files())
def test_rows_cover_every_byte_but_empty_lines(block: bytes) -> None:
    found = split(block, columns=3)
    ranges = sorted([*zip(found.starts, found.ends, strict=True), *((bad.start, bad.end) for bad in found.malformed)])
    at = 0
    for start, end in [*ranges, (len(block), len(block))]:
        assert block[at:start].strip(b"\r\n") == b""
        assert end > start or start == len(block)
        at = end


def test_quoted_newlines_and_doubled_quotes_belong_to_the_record() -> None:
    found = split(b'1,"a\nb ""c"""\n2,d\n')
    assert rows(found) == [("1", 'a\nb "c"'), ("2", "d")]
    assert list(found.lines) == [0, 2]


def test_a_stray_quote_costs_one_line() -> None:
    found = split(b'"1","a"\n"2","b\n"3","c"\n"4","d"\n')
    assert rows(found) == [("1", "a"), ("3", "c"), ("4", "d")]
    assert bad(found) == [(8, 1, "bad_quotes")]


def test_an_unclosed_quote_costs_one_line_once_the_maximum_is_passed() -> None:
    block = b'1,"a\n' + b"2,b\n" * 20
    assert split(block[:60], final=False).rows == 0
    found = split(block, final=False)
    assert bad(found) == [(0, 0, "too_long")]
    assert len(rows(found)) == 20


def test_each_malformed_line_has_its_reason() -> None:
    found = split(b'1,2,3\n1,\0\n1,\xff\n1,"a"b\n' + b"x" * 70 + b",1\n1,2\n")
    assert [reason for _, _, reason in bad(found)] == ["bad_columns", "bad_text", "bad_text", "bad_quotes", "too_long"]
    assert rows(found) == [("1", "2")]


def test_a_record_still_being_written_waits() -> None:
    block = b'1,2\r\n3,"4"\r\n'
    for torn in range(6, len(block)):
        assert rows(split(block[:torn], final=False)) == [("1", "2")]
    assert rows(split(block[:-2], final=True)) == [("1", "2"), ("3", "4")]


def test_a_line_that_does_not_end_in_the_block_is_overlong() -> None:
    found = split(b"3\n" + b"x" * 100, final=False)
    assert (found.rows, found.end, found.overlong) == (1, 2, True)


def test_no_more_rows_than_asked_for() -> None:
    found = split(b"1,2\n\n3\n4,5\n", limit=2)
    assert (rows(found), bad(found), found.end) == ([("1", "2")], [(5, 2, "bad_columns")], 7)


def test_a_comma_at_the_end_of_a_record_is_no_field() -> None:
    blocks = (b'a,b,\nc,d, \ne,f,""\n', b"a,b\nc,d,\ne,f\n")
    assert [rows(split(block)) for block in blocks] == [[("a", "b"), ("c", "d"), ("e", "f")]] * 2
    assert bad(split(b"a,b,c\nd,e,,\n")) == [(0, 0, "bad_columns"), (6, 1, "bad_columns")]
    assert records._split_clean(b"a,b,\nc,d,\n", 2, 10, 64, ",", final=False) is not None


def test_signs_of_units_may_be_latin_1_and_nothing_else() -> None:
    good = "62 °C,[°C]\n5 µs,62°\n".encode("latin-1")
    assert rows(split(good)) == [("62 °C", "[°C]"), ("5 µs", "62°")]
    assert rows(split("62 °C,é\n".encode())) == [("62 °C", "é")]
    for text in ("é", "Büro", "a°", "°n", "62 °Cé", "µ"):
        assert bad(split(f"{text},x\n".encode("latin-1"))) == [(0, 0, "bad_text")], text
    # Neither the one nor the other.
    assert bad(split("é,".encode() + b"62 \xb0C\n")) == [(0, 0, "bad_text")]

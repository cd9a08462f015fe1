"""The structure of files: whatever the bytes, rows are disjoint, in order, and cover all but header and empty lines."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.settings import Settings
from telemetry.verify.formats.base import Rules
from telemetry.verify.formats.dcgm import DcgmReader
from telemetry.verify.formats.grammar import text
from telemetry.verify.formats.heads import FileHeader, head
from telemetry.verify.formats.records import MAX_KEPT, Row, kept, rows

HEADER = b"timestamp,metric_name,uuid,value\n"
LIMIT = 64
RULES = Rules.of(Settings(), datetime(2026, 1, 1, tzinfo=UTC))


def layout(data: bytes, limit: int = 65_536) -> FileHeader | None:
    """The header of a file."""
    return head(data, RULES, limit)


def read(body: bytes, header: bytes = HEADER, limit: int = LIMIT) -> list[Row]:
    """The rows of a file."""
    data = header + body
    return list(rows(data, layout(data, limit), RULES, limit))


def told(body: bytes, limit: int = LIMIT) -> list[tuple[str, bytes]]:
    """Reason and kept bytes of each row."""
    return [(row.reason, kept(HEADER + body, row.start, row.end)) for row in read(body, limit=limit)]


def cells(row: Row) -> list[str]:
    """The cells of a row under HEADER."""
    before, stamp, between, value, after = row.pieces
    others = reader(HEADER).cells(before, between, after)
    return [text(stamp), others["metric_name"], others["uuid"], text(value)]


def reader(header: bytes) -> DcgmReader:
    """Who reads what follows a header."""
    known = layout(header)
    assert known is not None
    assert isinstance(known.reader, DcgmReader)
    return known.reader


fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0 \t"), max_size=8)
soup = st.lists(
    st.one_of(
        st.sampled_from([b'"', b",", b"\n", b"\r\n", b"\r", b"\0", b"\xff", b'""', b"a,b,c,d\n", b"x" * 70]),
        st.binary(max_size=6),
    ),
    max_size=40,
).map(b"".join)


@given(st.lists(st.lists(fields, min_size=4, max_size=4), max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_is_written_by_the_grammar_is_read_back(table: list[list[str]], end: str, ended: bool) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    body = written.getvalue().encode()
    found = read(body if ended else body.removesuffix(end.encode()), limit=10_000)
    assert [row.reason for row in found] == [""] * len(table)
    assert [cells(row) for row in found] == table


@given(soup)
def test_rows_cover_everything_but_header_and_empty_lines(body: bytes) -> None:
    at, data = len(HEADER), HEADER + body
    for row in read(body):
        assert data[at : row.start].replace(b"\r\n", b"\n").strip(b"\n") == b""
        assert row.start < row.end <= len(data)
        assert data[row.start - 1 : row.start] == b"\n"
        assert data[row.end - 1 : row.end] == b"\n" or row.end == len(data)
        assert row.reason or row.end - row.start <= LIMIT
        assert data[row.start : row.end].removeprefix(kept(data, row.start, row.end)) in (b"", b"\n", b"\r\n")
        at = row.end
    assert data[at:].replace(b"\r\n", b"\n").strip(b"\n") == b""


@given(soup)
def test_any_bytes_at_all_are_read(data: bytes) -> None:
    found = list(rows(data, layout(data, LIMIT), RULES, LIMIT))
    assert [row.start for row in found] == sorted({row.start for row in found})


@given(soup, soup)
def test_a_well_formed_row_is_no_other_for_what_follows_it(body: bytes, more: bytes) -> None:
    longer = {row.start: row for row in read(body + b"\n" + more)}
    data = HEADER + body
    for row in read(body):
        if row.reason == "" and data[row.end - 1 : row.end] == b"\n":
            assert longer[row.start] == row


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a,b,c,1\n", [("", b"a,b,c,1")]),
        (b"a,b,c,1\r\n", [("", b"a,b,c,1")]),
        (b"a,b,c,1", [("", b"a,b,c,1")]),
        (b"\n\r\n\n", []),
        (b'"a\n",b,"c"",",1\n', [("", b'"a\n",b,"c"",",1')]),
        (b"a,b,c\n", [("bad_columns", b"a,b,c")]),
        (b'"a\n",b,c\n', [("bad_columns", b'"a'), ("bad_quotes", b'",b,c')]),
        (b"a,b,c,1,2\n", [("bad_columns", b"a,b,c,1,2")]),
        (b'a,b"x,c,1\na,b,c,1\n', [("bad_quotes", b'a,b"x,c,1'), ("", b"a,b,c,1")]),
        (b'"a"x,b,c,1\n', [("bad_quotes", b'"a"x,b,c,1')]),
        (b'a,b,c,"1\na,b,c,1\n', [("bad_quotes", b'a,b,c,"1'), ("", b"a,b,c,1")]),
        (b"a,b\rx,c,1\n", [("bad_quotes", b"a,b\rx,c,1")]),
        (b"a,b,c,1\r", [("bad_quotes", b"a,b,c,1\r")]),
        (b"a,b,\0,1\n", [("bad_text", b"a,b,\0,1")]),
        (b'a,b,"\xff\n",1\n', [("bad_text", b'a,b,"\xff'), ("bad_quotes", b'",1')]),
        (b"a,b,\xed\xa0\x80,1\n", [("bad_text", b"a,b,\xed\xa0\x80,1")]),
    ],
)
def test_reasons(body: bytes, expected: list[tuple[str, bytes]]) -> None:
    assert told(body) == expected


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_longest_record_counts_its_line_end(end: bytes) -> None:
    longest = b"a,b,c," + b"1" * (LIMIT - 6 - len(end)) + end
    assert told(longest) == [("", longest.removesuffix(end))]
    assert [reason for reason, _ in told(b"1" + longest)] == ["too_long"]


def test_of_a_longer_line_the_first_bytes_are_kept() -> None:
    line = b"x" * (MAX_KEPT + 100)
    assert told(line + b"\na,b,c,1\n") == [("too_long", line[:MAX_KEPT]), ("", b"a,b,c,1")]
    assert kept(line[:MAX_KEPT] + b"\r\n", 0, MAX_KEPT + 2) == line[:MAX_KEPT]


def test_a_stray_quote_costs_one_line() -> None:
    good = b"a,b,c,1\n" * 100
    assert [reason for reason, _ in told(b'"' + good)] == ["too_long"] + [""] * 99


def test_a_quoted_field_longer_than_a_record_ends_nothing() -> None:
    body = b'a,b,"' + b"1\n" * LIMIT + b'",1\na,b,c,1\n'
    reasons = [reason for reason, _ in told(body)]
    assert (reasons[0], reasons[-2:]) == ("too_long", ["bad_quotes", ""])


@pytest.mark.parametrize(
    "header",
    [
        b"\xef\xbb\xbf" + HEADER,
        b' "timestamp" , value ,\tuuid,metric_name\r\n'.replace(b'"', b""),
        b'" timestamp","metric_name","gpu_id","Hostname",value,"x""y"\n',
        HEADER.removesuffix(b"\n"),
    ],
)
def test_headers_we_know(header: bytes) -> None:
    assert layout(header) is not None


@pytest.mark.parametrize(
    "header",
    [
        b"timestamp,metric_name,value\n",
        b"timestamp,metric_name,gpu_id,value\n",
        b"timestamp,metric_name,uuid,value, uuid\n",
        b'timestamp,metric_name,uuid,value,"x\n',
        b"timestamp,metric_name,uuid,value,\xff\n",
        b"timestamp,metric_name,uuid,value,\0\n",
        b"Timestamp,metric_name,uuid,value\n",
        b"timestamp,metric_name,uuid,value," + b"x" * 70 + b"\n",
    ],
)
def test_a_foreign_file_is_one_row(header: bytes) -> None:
    assert [row[:3] for row in read(b"a,b,c,1\n", header)] == [(0, len(header), "unknown_format")]


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"", b"") == []


def test_columns_may_stand_in_any_order() -> None:
    header = b"value,x,uuid,timestamp,metric_name\n"
    (row,) = read(b'1,"a,""b""",u, t ,m\n', header)
    before, value, between, stamp, after = row.pieces
    assert (stamp, value) == (b" t ", b"1")
    assert reader(header).cells(before, between, after) == {"x": 'a,"b"', "uuid": "u", "metric_name": "m"}

"""What each reason of the quarantine means, and what mends it. Words for people alone: nothing is decided by them."""

from __future__ import annotations

from typing import NamedTuple


class Mend(NamedTuple):
    """What is wrong with a row, and what to do about it; neither has a full stop."""

    wrong: str
    do: str


MENDS = {
    "unknown_format": Mend("no format knows it as a header", "docs/CSV_FORMATS.md lists the headers that are known"),
    "too_long": Mend(
        "the record is longer than the longest one", "close an open quote, or raise TELEMETRY_MAX_RECORD_BYTES if it is whole"
    ),
    "bad_quotes": Mend("a quote stands where none may", "quote whole cells, double the quotes inside them, and close them"),
    "bad_columns": Mend("it has another number of cells than the header", "write a cell for each column of the header"),
    "bad_text": Mend("it holds a NUL byte, or bytes that are not UTF-8", "save the file as UTF-8"),
    "bad_timestamp": Mend("its time cannot be read", "write times as docs/RECORDS.md and docs/CSV_FORMATS.md say"),
    "ambiguous_time": Mend("its time came twice, when the clocks were set back", "log in UTC, or write times with their zone"),
    "too_old": Mend("its time is before the floor", "set the clock of its machine, or lower TELEMETRY_TIMESTAMP_FLOOR"),
    "too_new": Mend(
        "its time lies too far ahead of this machine's clock", "set both clocks, or raise TELEMETRY_FUTURE_LIMIT_S"
    ),
    "no_metric": Mend("it names no metric", "fill in the metric's name"),
    "no_gpu": Mend(
        "it names no GPU", "fill in its UUID, or host and index; TELEMETRY_SOURCE_SETTINGS can name the host of a file"
    ),
    "long_name": Mend("a name in it is longer than 1,024 bytes", "shorten the name of the metric, the UUID or the host"),
    "bad_labels": Mend("its labels cannot be read", 'write labels as name="value", separated by commas'),
    "too_many_series": Mend(
        "the file makes more series than a source may",
        "take out the column that numbers the records, or raise TELEMETRY_MAX_SERIES",
    ),
    "bad_value": Mend("its value is no number", "write a decimal number, or leave the cell empty where there is no value"),
}

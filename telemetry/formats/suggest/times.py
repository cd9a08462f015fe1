"""Finds the times of a table: the columns that hold them, and the form they have."""

from __future__ import annotations

import re
from itertools import product
from typing import NamedTuple

from telemetry.formats.local_times import LOCAL as LOCAL_TIME
from telemetry.formats.moments import number_us, pattern_us
from telemetry.formats.suggest.table import NoSuggestionError, Table
from telemetry.formats.timestamps import parse_us
from telemetry.readings.mapping import LOCAL, RFC3339

NAME = re.compile(r".*(?:time|date|stamp|epoch|elapsed|datum|zeit).*|t|ts|t_s|t_ms|sec(?:onds)?", re.IGNORECASE)
ELAPSED = re.compile(r".*(?:elapsed|relative|since|runtime).*|t|t_s|t_ms|sec(?:onds)?|time_s|time_sec", re.IGNORECASE)
IN_MS = re.compile(r".*(?:_ms|\(ms\)|\[ms\]|milli.*)", re.IGNORECASE)
OF_DATE = re.compile(r"(?:.*[_ ])?(?:date|datum|day)", re.IGNORECASE)
OF_DAY = re.compile(r"(?:.*[_ ])?(?:time|zeit|clock)", re.IGNORECASE)
TIME_OF_DAY = re.compile(r"\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[AaPp][Mm])?", re.ASCII)
NUMBER = re.compile(r"\d+(?:\.\d*)?", re.ASCII)
# By the digits before the point: from 2001 on, and for long.
DIGITS = {10: "epoch_s", 13: "epoch_ms", 16: "epoch_us", 19: "epoch_ns"}
DATES = [
    *(mark.join(parts) for mark in "-/." for parts in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%d", "%m", "%y"))),
    *("%Y.%m.%d", "%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%b %d %Y"),
]
CLOCKS = ["%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H%M%S"]
PATTERNS = [f"{date}{between}{clock}" for date, clock, between in product(DATES, CLOCKS, (" ", "T", ", ", "_"))]


class Times(NamedTuple):
    """The columns of the time and the forms that all their cells fit: more than one where they may be several."""

    columns: tuple[str, ...]
    forms: list[str]


def found_times(table: Table) -> Times:
    """The times of a table. Raises NoSuggestionError where it has none."""
    likely = [name for name in table.names if NAME.fullmatch(name)]
    apart = [
        (date, day)
        for date, day in product(likely, likely)
        if date != day and OF_DATE.fullmatch(date) and OF_DAY.fullmatch(day) and not _forms(table.cells(date), date)
    ]
    for date, day in apart:
        joined = [f"{a} {b}" for a, b in zip(*(table.columns[table.names.index(each)] for each in (date, day)), strict=True)]
        if forms := _forms(joined, date):
            return Times((date, day), forms)
    # A column that is called a time goes before one that merely looks like one.
    for name in (*likely, *(name for name in table.names if name and name not in likely)):
        cells = table.cells(name)
        if cells and (forms := _forms(cells, name)):
            return Times((name,), forms)
    if of_day := [name for name in likely if table.cells(name) and all(map(TIME_OF_DAY.fullmatch, table.cells(name)))]:
        raise NoSuggestionError(
            f"its times ({of_day[0]!r}) are times of day, and nothing says the day: no mapping can read it. "
            "Write the date into each record"
        )
    raise NoSuggestionError("it has no column with a time: a reading needs one. Write the time into each record")


def _forms(cells: list[str], name: str) -> list[str]:
    """The forms that all of some cells have."""
    if not cells:
        return []
    if all(parse_us(cell) is not None for cell in cells):
        return [RFC3339]
    if all(LOCAL_TIME.fullmatch(cell) for cell in cells):
        return [LOCAL]
    if all(NUMBER.fullmatch(cell) for cell in cells):
        return _of_numbers(cells, name)
    patterns = [form for form in PATTERNS if not pattern_us(cells[0], form, "UTC")[1]]
    return [form for form in patterns if not any(pattern_us(cell, form, "UTC")[1] for cell in cells)]


def _of_numbers(cells: list[str], name: str) -> list[str]:
    form = DIGITS.get(len(cells[0].partition(".")[0]), "")
    if form and NAME.fullmatch(name) and not any(number_us(cell, form, 0)[1] for cell in cells):
        return [form]
    if ELAPSED.fullmatch(name):
        return ["elapsed_ms" if IN_MS.fullmatch(name) else "elapsed_s"]
    return []

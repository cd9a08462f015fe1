"""Writes down how a file may be read, as TOML: what is known as it is, what is not as a comment with a question."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from telemetry.formats.base import Format
from telemetry.formats.heads import identify
from telemetry.formats.suggest.columns import Columns, found_columns
from telemetry.formats.suggest.table import LIMIT, NoSuggestionError, Table, table
from telemetry.formats.suggest.times import found_times
from telemetry.readings.catalogue import lookup
from telemetry.readings.mapping import ColumnMapping
from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings

ASKED = {
    "time_zone": ("Area/City", "In which zone was its clock? Its times do not say it"),
    "host": ("", "Of which host is it? host_from_path takes it from the path"),
    "gpu_index": (0, "Which GPU is it of? The file does not say it"),
    "date": ("2000-01-01", "Of which day is its first row? Its times do not say it; date_from_path takes it from the path"),
}
COMMA = re.compile(r"\d,\d", re.ASCII)
# Three digits behind a comma: thousands, or thousandths.
OF_THREE = re.compile(r"\d,\d{3}(?!\d)", re.ASCII)
# Columns of tables whose numbers are like those of GPUs and mean something else.
NOT_OF_GPUS = {"pid": "processes", "process_name": "processes", "emissions": "whole runs, as codecarbon sums them up"}
# Columns of files with one reading a record.
VALUE, NAMING = {"value", "values"}, {"metric_name", "metric", "__name__", "field", "name", "measurement"}
# What a format may need: all that could be said.
ALL_SAID = SourceSettings("UTC", "host", 0, date="2000-01-01")


@dataclass(slots=True)
class Document:
    """Lines of TOML, and the questions among them."""

    lines: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def say(self, key: str, value: str) -> None:
        """A line that holds."""
        self.lines.append(f"{key} = {value}")

    def ask(self, line: str, question: str) -> None:
        """A line that waits for an answer."""
        self.questions.append(question)
        self.lines += [f"# {in_line(question)}{'' if question.endswith('?') else '.'}", f"# {line}"]

    def ask_for(self, key: str) -> None:
        """A key of a source that the file does not give."""
        value, question = ASKED[key]
        self.ask(f"{key} = {json.dumps(value)}", question)

    @property
    def text(self) -> str:
        """The document."""
        return "\n".join([*self.lines, ""])


def document(head: bytes, path: str) -> Document:
    """How a file that begins so and stands at a path may be read. Raises NoSuggestionError."""
    draft = Document(["[[source]]", f"path = {quoted(glob.escape(path))}"])
    if candidate := identify(head, max_record=LIMIT, final=True, settings=ALL_SAID):
        known = candidate.format
        if known and not candidate.is_inherited:
            return _of_format(known, draft)
    sample = table(head)
    _refuse(sample.names)
    times = found_times(sample)
    columns = found_columns(sample, times.columns)
    if not (columns.measured or columns.numbered or columns.unknown):
        raise NoSuggestionError(f"it has no column that is measured, beside {', '.join(sample.names)}")
    _identity(draft, columns, [*times.forms])
    _times(draft, times.columns, times.forms)
    _columns(draft, sample, columns)
    _metrics(draft, columns)
    return draft


def _of_format(known: Format, draft: Document) -> Document:
    """What a file of a format must be helped with."""
    names = [*known.columns]
    lacks = [key for key in ASKED if not known.of_header(names, _without(key))]
    if not lacks:
        return Document([f"# It is of the format {known.name}, and says all by itself: it needs no settings."])
    for key in lacks:
        draft.ask_for(key)
    return draft


def _refuse(names: list[str]) -> None:
    """Raises NoSuggestionError for columns that no mapping can tell apart, and for records that are not of GPUs in time."""
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise NoSuggestionError(f"two of its columns are called {twice[0]!r}: give them different names")
    lower = {name.lower() for name in names}
    if lower & VALUE and (naming := lower & NAMING):
        raise NoSuggestionError(
            f"each of its records is of the metric that its column {min(naming)!r} names; a mapping is for a column a metric. "
            "Give its columns the names of the dcgm format, separated by commas: see docs/RECORDS.md"
        )
    for mark, what in NOT_OF_GPUS.items():
        if mark in lower:
            raise NoSuggestionError(
                f"its records are of {what} (column {mark!r}), and a mapping is for readings of a whole GPU at a time"
            )


def quoted(text: str) -> str:
    """A text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def in_line(text: str) -> str:
    """A text without what may not stand in a comment of TOML: names of columns may hold anything."""
    return "".join(each if each.isprintable() else " " for each in text)


def _without(key: str) -> SourceSettings:
    return replace(ALL_SAID, **{key: getattr(NO_SETTINGS, key)})


def _identity(draft: Document, columns: Columns, forms: list[str]) -> None:
    is_numbered = all("{index}" in key for key in (*columns.measured, *columns.numbered))
    if any(ColumnMapping((), form, ()).needs_zone for form in forms):
        draft.ask_for("time_zone")
    if "uuid" not in columns.gpu and "host" not in columns.gpu:
        draft.ask_for("host")
    if not {"uuid", "index", "pci"} & columns.gpu.keys() and not is_numbered:
        draft.ask_for("gpu_index")


def _times(draft: Document, columns: tuple[str, ...], forms: list[str]) -> None:
    column = quoted(columns[0]) if len(columns) == 1 else _list(columns)
    lines = [f"time = {{ column = {column}, form = {quoted(form)} }}" for form in forms]
    if forms[0].startswith("elapsed"):
        since = lines[0].replace(" }", ', since = "YYYY-MM-DDThh:mm:ssZ" }')
        draft.ask(since, "When did it begin? since_from_path takes it from the path, by the clock of time_zone")
    elif len(forms) == 1:
        draft.lines += lines
    else:
        draft.ask("\n# ".join(lines), "Which of these is it? Its times fit each of them")


def _columns(draft: Document, sample: Table, columns: Columns) -> None:
    if columns.gpu:
        draft.say("gpu", _table(columns.gpu))
    if columns.labels:
        draft.say("label_columns", _table(columns.labels))
    if sample.delimiter != ",":
        draft.say("delimiter", quoted(sample.delimiter))
    _commas(draft, sample, [*columns.unknown, *(name for name in sample.names if name in columns.measured)])
    if columns.unknown:
        draft.lines.append("# Not read, as their names say too little: give each that is measured a line among the metrics.")
        draft.questions.append(f"What are {', '.join(columns.unknown)}?")
        draft.say("ignore", _list(columns.unknown))


def _commas(draft: Document, sample: Table, names: list[str]) -> None:
    """What a comma in a number is."""
    cells = [cell for name in names for cell in sample.cells(name)]
    with_comma = [cell for cell in cells if COMMA.search(cell)]
    if any(not OF_THREE.search(cell) for cell in with_comma):
        draft.say("decimal", quoted(","))
    elif with_comma:
        line = 'thousands = ","\n# decimal = ","'
        draft.ask(line, f"What is the comma in {with_comma[0]}: is it between thousands, or before a fraction?")


def _metrics(draft: Document, columns: Columns) -> None:
    draft.lines.append("[source.metrics]")
    for column, word in columns.measured.items():
        own = lookup(word.metric).unit or ""
        behind = f" [{word.unit}]" if word.unit != own else ""
        if word.question and not word.unit:
            draft.ask(f"{quoted(column)} = {quoted(word.metric + f' [{own}]')}", word.question)
        else:
            said = f"  # {in_line(word.question)}" if word.question else ""
            draft.questions += [word.question] if word.question else []
            draft.say(quoted(column), f"{quoted(word.metric + behind)}{said}")
    for column, names in columns.numbered.items():
        draft.ask(f"{quoted(column)} = {quoted('')}", f"What do {', '.join(names)} measure, each of one GPU?")


def _table(pairs: dict[str, str]) -> str:
    """A table of TOML in a line; its keys are names that need no quotes."""
    return f"{{ {', '.join(f'{key} = {quoted(value)}' for key, value in pairs.items())} }}"


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, names))}]"

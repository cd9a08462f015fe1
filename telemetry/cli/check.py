"""`telemetry check`: says what files would bring, and what of them would not be read. It needs no server.

This module owns arguments, progress and output. The reading is `telemetry.streamer.dry_run`'s, which is the streamer's own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from telemetry.cli.files import Spool, paths_argument, regular
from telemetry.cli.quantities import counted
from telemetry.cli.session import json_option
from telemetry.readings.mends import MENDS
from telemetry.settings import Settings
from telemetry.streamer.contents import UnpackError
from telemetry.streamer.dry_run import DryRun, Findings, Problem

# Of GPUs and metrics as many are named.
NAMED = 8
TEXT_WIDTH = 80


@click.command()
@paths_argument
@json_option
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Read files as a streamer would, and say what they would bring. Nothing is stored, and no server is needed.

    Of each file it shows the format, the GPUs, the metrics, the time span and the readings; then what would be blank (the
    exporter had no value), in quarantine or unread, and the first problems by line and column with what mends them.
    The settings are those of the environment (TELEMETRY_*), as at an edge. What is stored already only the database
    knows: telemetry verify asks it.

    Exits 0 only if everything would be read: nothing in quarantine, nothing unread.
    """
    settings = Settings.load()
    with Spool() as spool:
        findings = _findings(settings, regular(paths, spool))
        spool.remove()
    click.echo(json.dumps(document(findings)) if as_json else "\n".join(lines(findings)))
    sys.exit(0 if all(each.is_read for each in findings) else 1)


def _findings(settings: Settings, files: Sequence[Path]) -> list[Findings]:
    total = sum(path.stat().st_size for path in files)
    with click.progressbar(length=total, label="reading", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        dry_run = DryRun(settings, time.time_ns() // 1000, bar.update)
        try:
            return [dry_run.read(path) for path in files]
        except (OSError, UnpackError) as error:
            raise click.ClickException(f"a file cannot be read: {error}") from None


def document(findings: Sequence[Findings]) -> dict[str, Any]:
    """What was found, for programs."""
    return {"would_be_read": all(each.is_read for each in findings), "files": [_file(each) for each in findings]}


def _file(findings: Findings) -> dict[str, Any]:
    return {
        "path": str(findings.path),
        "would_be_read": findings.is_read,
        "formats": [name or "unknown" for name in findings.formats],
        "records": findings.records,
        "readings": findings.readings,
        "blank": findings.blank,
        "quarantined": findings.quarantined.total(),
        "reasons": dict(findings.quarantined.most_common()),
        "unread_lines": findings.unread,
        "why_unread": findings.why_unread,
        "gpus": sorted(findings.gpus),
        "metrics": sorted(findings.metrics),
        "series": findings.series,
        "series_column": findings.series_column,
        "first": _iso(findings.first_us),
        "last": _iso(findings.last_us),
        "last_line_is_torn": findings.torn,
        "problems": [_problem(problem) for problem in findings.problems],
    }


def _problem(problem: Problem) -> dict[str, Any]:
    mend, cell = MENDS[problem.reason], problem.cell
    return {
        "line": problem.line,
        "column": cell and cell.number,
        "column_name": cell and cell.name,
        "cell": cell and cell.text,
        "reason": problem.reason,
        "wrong": mend.wrong,
        "mend": mend.do,
        "text": problem.text.decode(errors="replace"),
    }


def lines(findings: Sequence[Findings]) -> Iterator[str]:
    """What was found, for people: a paragraph a file, and the verdict."""
    for file in findings:
        yield from _paragraph(file)
        yield ""
    unread = sum(file.unread for file in findings)
    quarantined = sum(file.quarantined.total() for file in findings)
    readings = sum(file.readings for file in findings)
    of = counted(len(findings), "file")
    if not unread and not quarantined:
        yield f"everything in {of} would be read: {counted(readings, 'reading')}"
        return
    wrong = [f"{counted(quarantined, 'row')} would go to quarantine"] if quarantined else []
    wrong += [f"{counted(unread, 'line')} would not be read"] if unread else []
    yield f"not everything in {of} would be read: {counted(readings, 'reading')} would; {', and '.join(wrong)}"


def _paragraph(findings: Findings) -> Iterator[str]:
    if not findings.formats:
        yield f"{findings.path}: no record in it yet"
        return
    names = [f"format {name}" if name else "a format that nobody knows" for name in findings.formats]
    yield f"{findings.path}: {', then '.join(names)}"
    if findings.readings:
        yield f"  readings    {findings.readings:,} from {_iso(findings.first_us)} to {_iso(findings.last_us)}"
        yield f"  GPUs        {_named(findings.gpus)}"
        yield f"  metrics     {_named(findings.metrics)}"
        yield f"  series      {findings.series:,} (a series is one metric of one GPU under one set of labels)"
    if findings.series_column:
        yield f"              the column {findings.series_column} makes a new series of nearly each record: take it out"
    if findings.blank:
        yield f"  blank       {findings.blank:,} (the exporter had no value; nothing to store)"
    if findings.quarantined:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in findings.quarantined.most_common())
        yield f"  quarantine  {counted(findings.quarantined.total(), 'row')}: {reasons}"
    if findings.unread:
        yield f"  unread      {counted(findings.unread, 'line')}: {findings.why_unread}"
    if findings.torn and not findings.unread:
        yield "  last line   it has no line end: a streamer reads it only when the file has been left alone"
    for problem in findings.problems:
        yield f"  {_shown(problem)}"
    if len(findings.problems) < findings.quarantined.total():
        yield f"  … and {findings.quarantined.total() - len(findings.problems):,} more rows for the quarantine"


def _shown(problem: Problem) -> str:
    mend, cell = MENDS[problem.reason], problem.cell
    where = f"line {problem.line:,}"
    if cell:
        where += f", column {cell.number}" + (f" ({cell.name})" if cell.name else "")
    whole = problem.text.decode(errors="replace")
    text = whole if cell is None or problem.reason == "bad_columns" else cell.text
    return f"{where}: {mend.wrong}: {_quoted(text)}; {mend.do}"


def _quoted(text: str) -> str:
    text = text if len(text) <= TEXT_WIDTH else f"{text[:TEXT_WIDTH]}…"
    return repr("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _named(names: set[str]) -> str:
    some = sorted(names)
    more = f", … {len(some) - NAMED:,} more" if len(some) > NAMED else ""
    return f"{len(some):,}: {', '.join(some[:NAMED])}{more}"


def _iso(time_us: int | None) -> str | None:
    if time_us is None:
        return None
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="milliseconds" if time_us % 1_000_000 else "seconds").replace("+00:00", "Z")

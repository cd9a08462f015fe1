"""`telemetry verify`: compares files with the database and prints what became of their rows.

This module owns arguments, progress and output. Reading and comparing are `telemetry.verify`'s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg
from sqlalchemy.exc import SQLAlchemyError

from telemetry.cli.files import paths_argument, regular
from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.readings.digests import wire_path
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.verify import files, queries
from telemetry.verify.compare import Outcome, compare
from telemetry.verify.examples import Example
from telemetry.verify.formats.base import Rules
from telemetry.verify.raw import Raw, count

TEXT_WIDTH = 120


@click.command()
@paths_argument
@click.option("--allow-extra", is_flag=True, help="Readings that only other files have are no difference.")
@click.option("--raw", is_flag=True, help="Only count lines against rows, without any rule of what a row is.")
@json_option
@data_dir_option
def verify(paths: tuple[Path, ...], allow_extra: bool, raw: bool, as_json: bool, data_dir: Path | None) -> None:
    """Compare files with the database, row by row.

    Exits 0 if every reading is stored, a duplicate of a stored one, blank, in quarantine, or expired (older than what the
    database keeps), and the database has no other samples of the same GPUs, metrics and span. Exits 1 otherwise: if readings
    are missing, dead, or in conflict with a stored value, if a file was not read as no format knows its header, or if the
    database has more. It also compares who had which GPU, minute by minute. Overlapping files have readings of each other's
    span: give them together, or use --allow-extra. Of a directory, the files named *.csv count, also packed (.gz, .zst, .xz).

    --raw counts instead every line that is neither empty nor the header against all rows of the GPUs that the files name: for
    files with a reading a line, whose GPUs no other file tells of. It knows no format, so it finds what all formats miss. It
    knows no times either: what was stored and is older than what the database keeps by now, it misses.
    """
    settings = load_settings(data_dir)
    try:
        counts = counted_raw(settings, regular(paths)) if raw else None
        outcome = examine(settings, regular(paths)) if counts is None else None
    except (SQLAlchemyError, psycopg.Error) as error:
        reasons = str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"]
        raise click.ClickException(f"the database cannot be read: {reasons[0]}") from None
    except OSError as error:
        raise click.ClickException(f"a file cannot be read: {error}") from None
    if counts is not None:
        click.echo(json.dumps(counts._asdict() | {"unaccounted": counts.unaccounted}) if as_json else raw_report(counts))
        sys.exit(1 if counts.unaccounted else 0)
    assert outcome is not None, "one of the two was asked for"  # noqa: S101
    for path in outcome.replayed:
        click.echo(f"{path}: stored by replays only, which give its rows other times; ingest it first", err=True)
    click.echo(json.dumps(in_full(outcome)) if as_json else report(outcome, allow_extra=allow_extra))
    sys.exit(0 if outcome.agrees(allow_extra=allow_extra) else 1)


def examine(settings: Settings, paths: Sequence[Path]) -> Outcome:
    """Read the files, then compare them with the database at one moment."""
    total = sum(path.stat().st_size for path in paths)
    engine = make_engine(settings, application="verify")
    try:
        with engine.connect() as connection:
            rules = Rules.of(settings, datetime.now(UTC), queries.passing(connection))
        with click.progressbar(length=total, label="reading", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
            tables, numbers = _read(settings, paths, rules, bar.update)
        with queries.snapshot(engine) as connection:
            return compare(connection, tables, numbers, rules)
    finally:
        engine.dispose()


def _read(
    settings: Settings, paths: Sequence[Path], rules: Rules, progress: Callable[[int], None]
) -> tuple[list[files.File], files.SeriesNumbers]:
    numbers, limit = files.SeriesNumbers(), settings.max_record_bytes
    of_each = [replace(rules, source=settings.of_source(str(path.resolve()))) for path in paths]
    read = [files.read(path, its, numbers, limit=limit, progress=progress) for path, its in zip(paths, of_each, strict=True)]
    return read, numbers


def counted_raw(settings: Settings, paths: Sequence[Path]) -> Raw:
    """Count lines against rows, at one moment of the database."""
    engine = make_engine(settings, application="verify")
    try:
        with queries.snapshot(engine) as connection:
            return count(connection, paths, [wire_path(path.resolve()) for path in paths])
    finally:
        engine.dispose()


def raw_report(counts: Raw) -> str:
    """The counts as an aligned table, and the verdict."""
    numbers = counts._asdict()
    width = max(len(f"{number:,}") for number in numbers.values())
    lines = [f"{name:<12}{number:>{width},}" for name, number in numbers.items()]
    left = counts.unaccounted
    verdict = f"{left:,} lines are nowhere in the database" if left > 0 else f"the database has {-left:,} rows too many"
    return "\n".join([*lines, "", verdict if left else "every line is in the database once"])


def in_full(outcome: Outcome) -> dict[str, Any]:
    """The counts for programs, and everything else that the verdict rests on."""
    examples = [{**asdict(example), "path": example.path and str(example.path)} for example in outcome.examples]
    return {
        **outcome.counts,
        "reasons": outcome.reasons,
        "replayed": [str(path) for path in outcome.replayed],
        "others": list(outcome.others),
        "owners": asdict(outcome.owners),
        "examples": examples,
    }


def report(outcome: Outcome, *, allow_extra: bool = False) -> str:
    """The counts as an aligned table, the first differences, and the verdict."""
    width = max(len(f"{count:,}") for count in outcome.counts.values())
    # What is unread is in the sum, too.
    lines = [f"{'in files' if name == 'read' else name:<12}{count:>{width},}" for name, count in outcome.counts.items()]
    if outcome.owners.minutes or outcome.owners.extra:
        lines += ["", outcome.owners.line()]
    if outcome.examples:
        lines += ["", "differences, the first of them:", *(f"  {_shown(example)}" for example in outcome.examples)]
    if outcome.others:
        lines += ["", "sources that may have brought what is extra:", *(f"  {_printable(other)}" for other in outcome.others)]
    return "\n".join([*lines, "", _verdict(outcome, allow_extra=allow_extra)])


def _verdict(outcome: Outcome, *, allow_extra: bool) -> str:
    wrong = [f"{count:,} {name}" for name, count in outcome.differences(allow_extra=allow_extra).items()]
    wrong += ["replays only"] if outcome.replayed else []
    quarantined = outcome.counts["quarantined"]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in outcome.reasons.items())
    if wrong:
        return f"differences found: {', '.join(wrong)}" + (f"; {quarantined:,} in quarantine: {reasons}" if quarantined else "")
    if expired := outcome.counts["expired"]:
        rest = f", {quarantined:,} of it in quarantine: {reasons}" if quarantined else ""
        return f"{expired:,} expired: older than what the database keeps, it does NOT have them; it holds the rest{rest}"
    if quarantined:
        return f"the database holds all of the files, {quarantined:,} of it in quarantine: {reasons}"
    if outcome.counts["extra"]:
        return f"the database holds all that the files say, and {outcome.counts['extra']:,} readings more"
    return "the database holds exactly what the files say"


def _shown(example: Example) -> str:
    where = f"{example.path}:{example.line}" if example.path else "database"
    return f"{where}: {example.reason}: {_printable(example.text[:TEXT_WIDTH])}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

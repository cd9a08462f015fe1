"""`telemetry verify`: compares files with the database and prints what became of their rows.

This module owns arguments, progress and output. Reading and comparing are `telemetry.verify`'s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psycopg
from sqlalchemy.exc import SQLAlchemyError

from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.settings import Settings
from telemetry.store.engine import make_engine
from telemetry.verify import files, queries
from telemetry.verify.compare import Outcome, compare
from telemetry.verify.examples import Example
from telemetry.verify.formats.base import Rules

TEXT_WIDTH = 120


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@data_dir_option
def verify(paths: tuple[Path, ...], as_json: bool, data_dir: Path | None) -> None:
    """Compare files with the database, row by row.

    Exits 0 if every row is stored, a duplicate of a stored one, blank, or in quarantine, and the database has no other
    samples of the same series and span; exits 1 otherwise.
    """
    try:
        outcome = examine(load_settings(data_dir), paths)
    except (SQLAlchemyError, psycopg.Error) as error:
        reasons = str(getattr(error, "orig", None) or error).strip().splitlines() or ["no reason given"]
        raise click.ClickException(f"the database cannot be read: {reasons[0]}") from None
    except OSError as error:
        raise click.ClickException(f"a file cannot be read: {error}") from None
    for path in outcome.replayed:
        click.echo(f"{path}: stored by replays only, which give its rows other times; ingest it first", err=True)
    click.echo(json.dumps(in_full(outcome)) if as_json else report(outcome))
    sys.exit(0 if outcome.agrees else 1)


def examine(settings: Settings, paths: Sequence[Path]) -> Outcome:
    """Read the files, then compare them with the database at one moment."""
    rules, numbers, limit = Rules.of(settings, datetime.now(UTC)), files.SeriesNumbers(), settings.max_record_bytes
    with _progress(paths) as progress:
        tables = [files.read(path, rules, numbers, limit=limit, progress=progress) for path in paths]
    engine = make_engine(settings, application="verify")
    try:
        with queries.snapshot(engine) as connection:
            return compare(connection, tables, numbers)
    finally:
        engine.dispose()


def in_full(outcome: Outcome) -> dict[str, Any]:
    """The counts for programs, and everything else that the verdict rests on."""
    examples = [{**asdict(example), "path": example.path and str(example.path)} for example in outcome.examples]
    return {**outcome.counts, "replayed": [str(path) for path in outcome.replayed], "examples": examples}


def report(outcome: Outcome) -> str:
    """The counts as an aligned table, the first differences, and the verdict."""
    width = max(len(f"{count:,}") for count in outcome.counts.values())
    lines = [f"{name:<12}{count:>{width},}" for name, count in outcome.counts.items()]
    if outcome.examples:
        lines += ["", "differences, the first of them:", *(f"  {_shown(example)}" for example in outcome.examples)]
    wrong = [f"{outcome.counts[name]:,} {name}" for name in ("missing", "dead", "extra") if outcome.counts[name]]
    wrong += ["replays only"] if outcome.replayed else []
    lines += [
        "",
        f"differences found: {', '.join(wrong)}" if wrong else "the database holds exactly what the files say",
    ]
    return "\n".join(lines)


def _shown(example: Example) -> str:
    where = f"{example.path}:{example.line}" if example.path else "database"
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in example.text[:TEXT_WIDTH])
    return f"{where}: {example.reason}: {clean}"


@contextmanager
def _progress(paths: Sequence[Path]) -> Iterator[Callable[[int], None]]:
    """A bar over the bytes of all files, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    total = sum(path.stat().st_size for path in paths)
    with click.progressbar(length=total, label="reading", file=sys.stderr) as bar:
        yield bar.update

"""`telemetry sources`: each source with its format, offset, rate and what could not be read, and what to do about it.

What is asked, and the document that the answers are joined in, are those of `telemetry status`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from telemetry.cli.foreign import plain
from telemetry.cli.overview import look
from telemetry.cli.quantities import counted
from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.cli.source_line import Standing, progress, standing
from telemetry.cli.status_document import document
from telemetry.cli.todo import todo


@click.command()
@click.option("--edge", help="Only the sources of this edge.")
@click.option("--bad", "only_bad", is_flag=True, help="Only those of which something is not as it should be.")
@json_option
@data_dir_option
def sources(edge: str | None, only_bad: bool, as_json: bool, data_dir: Path | None) -> None:
    """Show each source: format, how far it is committed, rows a second, what could not be read, and what to do.

    Those that need something done come first. The exit code is 1 if the broker or the database does not answer; what the
    other one knows is shown.
    """
    settings = load_settings(data_dir)
    seen = document(look(settings), settings)
    silent = {each["edge"] for each in seen["edges"] or [] if each["silent_s"]}
    shown = [
        {**source, "todo": todo(source, is_silent=source["edge"] in silent)}
        for source in sorted(seen["sources"] or [], key=lambda source: (standing(source), source["edge"], source["path"]))
        if edge in (None, source["edge"]) and not (only_bad and standing(source) not in (Standing.BAD, Standing.LOOK))
    ]
    click.echo(json.dumps(shown) if as_json else "\n".join(map(plain, lines(shown))))
    faults = dict.fromkeys(part["fault"] for part in seen["parts"].values() if "fault" in part)
    if faults:
        raise click.ClickException("; ".join(faults))


def lines(shown: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A paragraph a source, and how many need a look."""
    for source in shown:
        yield f"{source['edge']} {source['path']}"
        yield f"  {', '.join(_facts(source))}"
        yield from (f"  -> {text}" for text in source["todo"])
    bad = sum(standing(source) in (Standing.BAD, Standing.LOOK) for source in shown)
    need = "" if not bad else "; 1 needs a look" if bad == 1 else f"; {bad:,} need a look"
    yield f"{counted(len(shown), 'source')}{need}"


def _facts(source: Mapping[str, Any]) -> Iterator[str]:
    yield f"format {source['format']}" if source["format"] else "NOT READ"
    yield progress(source)
    if source["rows_per_s"]:
        yield f"{source['rows_per_s']:,} rows/s"
    if source["replayed"]:
        yield f"replaying, {source['replayed_ratio']:.0%}"
    elif source["growing"]:
        yield "growing"
    for count, text in (
        ("quarantined", "in quarantine"),
        ("conflicts", "in conflict"),
        ("expired", "expired"),
        ("unread_lines", "lines unread"),
        ("dead_letters", "dead letters"),
    ):
        if source[count]:
            yield f"{source[count]:,} {text}"

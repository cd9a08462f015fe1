"""`telemetry status`: one look at the whole system, or one after the other.

`overview` asks, `status_document` joins the answers, `status_lines` makes them readable, and `redraw` keeps them on a screen.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from telemetry.cli.overview import look
from telemetry.cli.redraw import colour_allowed, painted, redraw
from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.cli.status_document import document
from telemetry.cli.status_lines import Line, lines
from telemetry.settings import Settings


@click.command()
@click.option("--all", "everything", is_flag=True, help="List every edge and source, also those that are quiet.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="The pause between two looks of --watch.",
)
@json_option
@data_dir_option
def status(everything: bool, watch: bool, interval_s: float, as_json: bool, data_dir: Path | None) -> None:
    """Show what is wrong, then edges, sources (offset, lag, whether the file may be deleted), queue, workers and rates.

    A source that is committed and quiet is only counted, unless --all is given. Edges whose streamer is overdue are SILENT.

    A file is safe to delete when all of it is committed, none of it is a gap or in a dead letter, and it has not changed for
    a while (TELEMETRY_CLOSE_AFTER_S). What needs a look stands beside it. One that is replayed or foreign never is safe.

    A part that does not answer within 2 s is named, and what the others know is shown; the exit code is then 1. With --json
    everything is shown, in exact numbers; with --watch too it is one document a line.
    """
    settings = load_settings(data_dir)
    if watch:
        in_place = sys.stdout.isatty() and not as_json
        redraw(lambda: _shown(_looked(settings), everything=everything, as_json=as_json), interval_s, in_place=in_place)
        return
    seen = _looked(settings)
    for line in _shown(seen, everything=everything, as_json=as_json):
        click.echo(painted(line), color=colour_allowed())
    faults = dict.fromkeys(part["fault"] for part in seen["parts"].values() if "fault" in part)
    if faults:
        raise click.ClickException("; ".join(faults))


def _looked(settings: Settings) -> dict[str, Any]:
    return document(look(settings), settings)


def _shown(seen: dict[str, Any], *, everything: bool, as_json: bool) -> list[Line]:
    return [Line(json.dumps(seen))] if as_json else lines(seen, datetime.now(UTC), everything=everything)

"""`telemetry trial`: one marked batch from this edge to the database and back, which leaves nothing in the fleet.

`telemetry deploy validate` runs it in the pods of edges, and `--forget` in one of the centre.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import click
import kombu.exceptions

from telemetry.celery import make_app
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings
from telemetry.settings import Settings
from telemetry.streamer.publish import publisher
from telemetry.streamer.trial import run


@click.command()
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds in which it must be committed.",
)
@click.option("--forget", is_flag=True, help="At the centre: remove what trials of all edges have left. Sends nothing.")
@json_option
@data_dir_option
def trial(timeout_s: float, forget: bool, as_json: bool, data_dir: Path | None) -> None:
    """Send a marked batch from this edge, and say how long it takes until it is committed.

    It goes the way of all batches and has one reading without a value, so no sample, GPU or metric comes of it. In the ledger
    its row stays until `telemetry trial --forget` is called at the centre. Exits 1 if it is not committed in time.
    """
    settings = load_settings(data_dir)
    if forget:
        _forget(settings, as_json=as_json)
        return
    try:
        with connected(settings) as client:
            done = run(settings, client, publisher(make_app(settings), settings), timeout_s)
    except kombu.exceptions.OperationalError as error:
        raise click.ClickException(f"cannot reach the broker: {error}") from None
    if as_json:
        click.echo(json.dumps(done._asdict()))
    elif done.status == "committed":
        click.echo(f"{done.edge}: the marked batch was committed, {done.round_trip_s:.3f} s after it was sent")
    elif done.status == "dead":
        click.echo(f"{done.edge}: the marked batch cannot be stored: telemetry deadletter list at the centre says why")
    else:
        click.echo(
            f"{done.edge}: no answer within {timeout_s:g} s: telemetry status at the centre says whether collectors work"
        )
    sys.exit(0 if done.status == "committed" else 1)


def _forget(settings: Settings, *, as_json: bool) -> None:
    try:
        database, trials = (importlib.import_module(f"telemetry.{name}") for name in ("cli.database", "store.trials"))
    except ModuleNotFoundError as error:
        # An edge has no driver for the database.
        raise click.ClickException(f"--forget needs {error.name}, as it is for the centre") from None
    with database.database(settings, "trial") as engine, engine.begin() as connection:
        removed = trials.forget(connection)
    if as_json:
        click.echo(json.dumps({"removed": [each._asdict() for each in removed]}))
    else:
        click.echo(f"removed {len(removed)} marked {'batch' if len(removed) == 1 else 'batches'}")

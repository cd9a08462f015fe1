"""`telemetry simulate`: options, progress and the summary. What is simulated is left to `telemetry.simulate`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from telemetry.settings import parsers
from telemetry.simulate import run
from telemetry.simulate.output import Output, OutputError, create, resume, standard
from telemetry.simulate.pace import Pace, now_us
from telemetry.simulate.simulation import Simulation
from telemetry.simulate.timeline import MILLISECOND, SECOND, Timeline

HOUR_S = 3600.0
YEARS = range(1971, 9000)


def _finite(_context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} must be a finite number of seconds", param=parameter)
    return value


def _instant(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        time_ = parsers.instant(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None
    if time_.year not in YEARS:
        raise click.BadParameter(f"{value!r} must lie after 1970 and before 9000", param=parameter)
    return _microseconds(time_)


def _microseconds(time_: datetime) -> int:
    return (time_ - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@click.command()
@click.option("--hosts", type=click.IntRange(1, 10_000), default=4, show_default=True, help="Hosts in the fleet.")
@click.option("--gpus", type=click.IntRange(1, 16), default=8, show_default=True, help="GPUs in each host.")
@click.option(
    "--interval",
    type=click.FloatRange(0.001, 86_400),
    default=10.0,
    show_default=True,
    callback=_finite,
    metavar="SECONDS",
    help="Time between two scrapes of a host.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0, 10 * 366 * 86_400),
    callback=_finite,
    metavar="SECONDS",
    help="Time the telemetry covers; with --follow, that of the history before it goes live.  [default: 3600]",
)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="The CSV file to write, - for standard output.",
)
@click.option("--follow", is_flag=True, help="After the history go on live, until Ctrl-C; an existing FILE is continued.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed is another fleet.")
@click.option("--start", callback=_instant, metavar="TIME", help="Time of the first scrape.  [default: so that it ends now]")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--truth", is_flag=True, help="Write who held what when, kWh and XIDs of this run to FILE.truth.json, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate(
    hosts: int,
    gpus: int,
    interval: float,
    duration: float | None,
    output: Path,
    follow: bool,
    seed: int,
    start: int | None,
    force: bool,
    truth: bool,
    as_json: bool,
) -> None:
    """Write made-up telemetry of a GPU fleet, in the CSV format of a dcgm-exporter dump.

    The fleet trains, serves, idles and breaks as fleets do: 28 metrics per GPU that belong together, pods that come
    and go over the hours, and a few GPUs with memory errors, bad cooling or a loose bus. The same seed, start and
    sizes give the same bytes.

    \b
    A day of a small fleet:
      telemetry simulate --hosts 4 --interval 30 --duration 86400 -o fleet.csv
    Ten minutes of history, then live until Ctrl-C:
      telemetry simulate --duration 600 --follow -o live.csv
    """  # noqa: D301  # click's \b, which keeps the lines apart
    if truth and str(output) == "-":
        raise click.UsageError("--truth needs a file to write beside; give -o FILE")
    timeline, steps = _plan(interval, duration, start, follow=follow)
    began = time.monotonic()
    try:
        with closing(_open(output, follow=follow, force=force)) as sink, Pace() as pace:
            timeline, steps = _continued(timeline, steps, sink.last)
            simulation = Simulation(hosts, gpus, timeline, seed, truth=truth)
            hidden = not steps or not sys.stderr.isatty()
            with click.progressbar(length=steps, label="simulating", file=sys.stderr, hidden=hidden) as bar:
                rows = run.history(simulation, sink, pace, steps, bar.update)
            if follow:
                rows += run.live(simulation, sink, pace, steps)
        if simulation.truth is not None:
            Path(f"{output}.truth.json").write_text(json.dumps(simulation.truth.document(), indent=1), encoding="utf-8")
    except BrokenPipeError:
        # The reader of standard output has left; the interpreter's own flush at exit must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    summary = {
        "rows": rows,
        "gpus": hosts * gpus,
        "hosts": hosts,
        "seconds": round(time.monotonic() - began, 3),
        "path": str(output),
    }
    _tell(summary, as_json=as_json, stopped=pace.stopped and not follow)


def _plan(interval: float, duration: float | None, start: int | None, *, follow: bool) -> tuple[Timeline, int]:
    """The timeline, and the number of its steps that are history."""
    interval_us, now = round(interval * SECOND), now_us()
    unit = SECOND if interval_us % SECOND == 0 else MILLISECOND
    length_us = round((HOUR_S if duration is None else duration) * SECOND)
    if start is None:
        timeline = Timeline((now - length_us) // unit * unit, interval_us)
    else:
        timeline = Timeline(start, interval_us)
        if follow and duration is None:
            length_us = max(0, now - start)
        if follow and start + length_us > now:
            raise click.BadParameter(
                "the history would reach into the future; with --follow it must end before now", param_hint="'--start'"
            )
    if not follow and length_us == 0:
        raise click.BadParameter("0 gives no scrape without --follow; give a longer one", param_hint="'--duration'")
    return timeline, length_us // interval_us if follow else max(1, length_us // interval_us)


def _open(path: Path, *, follow: bool, force: bool) -> Output:
    if str(path) == "-":
        return standard()
    try:
        return resume(path) if follow and not force else create(path, force=force)
    except OutputError as error:
        raise click.BadParameter(str(error), param_hint="'-o'") from None
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="'-o'") from None


def _continued(timeline: Timeline, steps: int, last: datetime | None) -> tuple[Timeline, int]:
    """The timeline and its history, without the steps that an earlier run has written."""
    if last is None:
        return timeline, steps
    last_us = _microseconds(last)
    if last_us > now_us() + timeline.interval_us:
        raise click.BadParameter(f"the file ends in the future, at {last:%Y-%m-%dT%H:%M:%SZ}", param_hint="'-o'")
    done = timeline.steps_until(last_us)
    return timeline.without(done), max(0, steps - done)


def _tell(summary: dict[str, Any], *, as_json: bool, stopped: bool) -> None:
    line = "{rows:,} rows of {gpus} GPUs in {hosts} hosts written to {path} in {seconds:.1f} s".format(**summary)
    click.echo(json.dumps(summary) if as_json else line, err=summary["path"] == "-")
    if stopped:
        raise click.ClickException("stopped before the end")

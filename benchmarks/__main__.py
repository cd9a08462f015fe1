"""`python -m benchmarks`: chooses cases, runs them in rounds, prints the tables."""

from __future__ import annotations

import json
import resource
import tempfile
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
import psycopg

from benchmarks import machine, report
from benchmarks.bench import Bench, servers
from benchmarks.cases import CASES
from benchmarks.sizes import Sizes

ROUNDS = 3
QUICK = 0.03


@click.command()
@click.option("--rounds", type=click.IntRange(1), help=f"How often the cases that are compared are run.  [default: {ROUNDS}]")
@click.option("--only", multiple=True, type=click.Choice(list(CASES)), help="Only this case; may be given several times.")
@click.option("--quick", is_flag=True, help=f"One round, {QUICK:g} of everything: shows that it works, not how fast.")
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, help="A factor for all sizes.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="How long each fleet runs.  [default: 1 and 2]")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("bench.json"),
    show_default=True,
    help="Write all figures to this file, anew after each case.",
)
def main(rounds: int | None, only: tuple[str, ...], quick: bool, scale: float, minutes: float | None, json_path: Path) -> None:
    """Measure the pipeline side by side with what it is compared with, interleaved, and print medians and ratios."""
    scale *= QUICK if quick else 1
    sizes = Sizes().scaled(scale)
    if minutes:
        sizes = replace(sizes, fleet_s=round(minutes * 60), thousands_s=round(minutes * 60))
    chosen = [name for name in CASES if not only or name in only]
    _allow_many_connections()
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as path:
        directory = Path(path)
        # Root's Postgres runs as another user, and reads a file here.
        directory.chmod(0o755)
        with servers(directory, sizes) as bench:
            with psycopg.connect(bench.postgres.url) as database, bench.client() as client:
                about = machine.describe(directory, database, client)
            run: dict[str, Any] = {}
            for name in order(chosen, rounds or (1 if quick else ROUNDS)):
                _measure(bench, name)
                run = report.summary(bench.figures, bench.traces, about, asdict(sizes), scale)
                # After each case: what a later one breaks is not to cost an hour's figures.
                json_path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    click.echo(report.markdown(run, {name: case.title for name, case in CASES.items()}))


def order(chosen: list[str], rounds: int) -> list[str]:
    """The cases that are compared, round by round, every other round backwards; then those that are run once."""
    compared = [name for name in chosen if CASES[name].rounds]
    forth_and_back = [compared if number % 2 == 0 else compared[::-1] for number in range(rounds)]
    return [*chain.from_iterable(forth_and_back), *(name for name in chosen if not CASES[name].rounds)]


def _allow_many_connections() -> None:
    """A fleet needs more files than a shell allows at first; the servers inherit what is set here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _measure(bench: Bench, name: str) -> None:
    figures = CASES[name].run(bench)
    bench.figures.setdefault(name, []).append(figures)
    summary = ", ".join(f"{report.number(value)} {report.words(figure)}" for figure, value in figures.items())
    click.echo(f"{name}: {summary}", err=True)


if __name__ == "__main__":
    main()

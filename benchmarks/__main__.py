"""`python -m benchmarks`: chooses cases, runs them in rounds, prints the tables."""

from __future__ import annotations

import json
import resource
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

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
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="How long the fleet runs.  [default: 1]")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write all figures to this file.")
def main(
    rounds: int | None, only: tuple[str, ...], quick: bool, scale: float, minutes: float | None, json_path: Path | None
) -> None:
    """Measure the pipeline side by side with what it is compared with, interleaved, and print medians and ratios."""
    scale *= QUICK if quick else 1
    sizes = Sizes().scaled(scale)
    if minutes:
        sizes = replace(sizes, fleet_s=round(minutes * 60))
    chosen = [name for name in CASES if not only or name in only]
    _allow_many_connections()
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as path:
        directory = Path(path)
        # Root's Postgres runs as another user, and reads a file here.
        directory.chmod(0o755)
        with servers(directory, sizes) as bench:
            with psycopg.connect(bench.postgres.url) as database, bench.client() as client:
                about = machine.describe(directory, database, client)
            for number in range(rounds or (1 if quick else ROUNDS)):
                for name in chosen:
                    if CASES[name].rounds or number == 0:
                        _measure(bench, name)
            run = report.summary(bench.figures, bench.traces, about, asdict(sizes), scale)
    if json_path:
        json_path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    click.echo(report.markdown(run, {name: case.title for name, case in CASES.items()}))


def _allow_many_connections() -> None:
    """A fleet needs more files than a shell allows at first; the servers inherit what is set here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _measure(bench: Bench, name: str) -> None:
    figures = CASES[name].run(bench)
    bench.figures.setdefault(name, []).append(figures)
    told = ", ".join(f"{report.number(value)} {report.words(figure)}" for figure, value in figures.items())
    click.echo(f"{name}: {told}", err=True)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.signatures`: what signatures cost, by files that are ingested with and without them in turn.

One collector checks and signs, as the centre's secret is its. It stores files of the same size in messages of 100 rows, every
other one of an edge that has no key. Files that follow each other are compared, as a machine is not as fast at all times.
The time that the collector has a processor depends less than the rate on what else the machine does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import click

from benchmarks import processes
from benchmarks.bench import servers
from benchmarks.sizes import Sizes

SECRET = {"TELEMETRY_TRUST_SECRET": "s" * 64}
ROWS_A_MESSAGE = 100
# The bound that this is held to.
LEAST = 0.97


@click.command()
@click.option("--pairs", type=click.IntRange(1), default=9, show_default=True, help="Files that are ingested in each way.")
@click.option("--rows", type=click.IntRange(1000), default=60_000, show_default=True, help="Rows of a file.")
def main(pairs: int, rows: int) -> None:
    """Ingest files with and without signatures in turn, and print rows per second and the median of the ratios."""
    rates: dict[str, list[float]] = {"signed": [], "plain": []}
    worked_s: dict[str, list[float]] = {kind: [] for kind in rates}
    with tempfile.TemporaryDirectory(prefix="telemetry-bench-") as path:
        directory = Path(path)
        directory.chmod(0o755)
        with servers(directory, Sizes()) as bench, bench.site() as site:
            collector = site.start_worker("telemetry", TELEMETRY_ROLE="central", **SECRET)
            site.ingest(bench.warm_up, "warm-up", ROWS_A_MESSAGE)
            for number in range(pairs):
                # What comes first changes from pair to pair.
                for kind in (list(rates), list(rates)[::-1])[number % 2]:
                    file = bench.file(f"{kind}-{number}", rows, hour=6 + (2 * number + (kind == "plain")) / 3)
                    before_s = processor_s(collector.pid)
                    edge = site.ingest(file, file.path.stem, ROWS_A_MESSAGE, **(SECRET if kind == "signed" else {}))
                    rates[kind].append(site.committed(edge, rows).rows_per_s)
                    worked_s[kind].append(processor_s(collector.pid) - before_s)
                click.echo(f"signed {rates['signed'][-1]:,.0f} rows/s, plain {rates['plain'][-1]:,.0f} rows/s", err=True)
    ratio, work = (
        median(signed / plain for signed, plain in zip(figures["signed"], figures["plain"], strict=True))
        for figures in (rates, worked_s)
    )
    click.echo(f"signed {median(rates['signed']):,.0f} rows/s, plain {median(rates['plain']):,.0f} rows/s (medians)")
    click.echo(f"processor time of the collector: plain ÷ signed {1 / work:.3f} (median of {pairs} pairs)")
    click.echo(f"rate: signed ÷ plain {ratio:.3f} (median of {pairs} pairs), at least {LEAST} is wanted")


def processor_s(pid: int) -> float:
    """For how long a process and its children have had a processor."""
    times = [process.cpu_times() for process in processes.family(pid)]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()

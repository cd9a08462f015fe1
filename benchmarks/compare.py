"""`python -m benchmarks.compare COMMIT`: the same cases of another commit and of this checkout, in turn, and their ratios.

Both run with the dependencies of this checkout's environment. A round is one run of each, the next round in the other order,
so that what else the machine does falls on both. The case `latency` loads both alike: by half of what the other commit stores
from a full queue, measured once at the beginning.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from benchmarks.cases import CASES
from benchmarks.report import number, spread, words

ROOT = Path(__file__).resolve().parent.parent
USUAL = ("large", "small", "messages", "latency", "edge")
# Figures of a round, by `case.figure`.
Round = Mapping[str, float]
# Runs the benchmarks of a tree, with a given result of `messages` in the eyes of `latency`.
LOADED = """
from benchmarks.__main__ import main
from benchmarks.cases import messages
messages.run = lambda bench: {"messages_per_s": %f}
main()
"""


@click.command()
@click.argument("commit")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="How often each of the two is run.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(CASES)),
    default=USUAL,
    show_default=True,
    help="Only this case; may be given several times.",
)
@click.option("--scale", type=click.FloatRange(0, min_open=True), default=1.0, help="A factor for all sizes.")
def main(commit: str, rounds: int, only: tuple[str, ...], scale: float) -> None:
    """Measure COMMIT and this checkout in turn, and print the medians and the ratio of each figure."""
    with checked_out(commit) as other:
        trees = {"before": other, "now": ROOT}
        measured: dict[str, list[Round]] = {name: [] for name in trees}
        capacity = measure(other, ["messages"], scale)["messages.messages_per_s"] if "latency" in only else 0.0
        for number_of_round in range(rounds):
            for name in list(trees)[:: 1 if number_of_round % 2 == 0 else -1]:
                figures = measure(trees[name], [case for case in only if case != "latency"], scale)
                if capacity:
                    figures |= measure(trees[name], ["latency"], scale, LOADED % capacity)
                measured[name].append(figures)
                click.echo(f"round {number_of_round + 1} of {rounds}, {name}: done", err=True)
    click.echo(table(measured["before"], measured["now"]))


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A work tree of a commit, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="telemetry-compare-") as directory:
        tree = Path(directory) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)  # noqa: S607
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)  # noqa: S607


def measure(tree: Path, cases: Sequence[str], scale: float, program: str = "") -> dict[str, float]:
    """The figures of one round of a tree; `program` starts its benchmarks in another way than usual."""
    if not cases:
        return {}
    with tempfile.TemporaryDirectory(prefix="telemetry-compare-") as directory:
        path = Path(directory) / "figures.json"
        chosen = [option for case in cases for option in ("--only", case)]
        start = ["-c", program] if program else ["-m", "benchmarks"]
        subprocess.run(
            [sys.executable, *start, "--rounds", "1", "--scale", str(scale), *chosen, "--json", path],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        medians: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["medians"]
    return medians


def table(before: Sequence[Round], now: Sequence[Round]) -> str:
    """Each figure that both have: its medians, and the median and the spread of its ratio, round by round."""
    lines = ["| figure | before | now | now ÷ before | rounds |", "| --- | --: | --: | --: | --: |"]
    for name in before[0]:
        pairs = [(old[name], new[name]) for old, new in zip(before, now, strict=True) if old.get(name) and name in new]
        if not pairs:
            continue
        ratios = [new / old for old, new in pairs]
        medians = [number(statistics.median(values)) for values in zip(*pairs, strict=True)]
        case, _, figure = name.partition(".")
        lines.append(
            f"| {case}: {words(figure)} | {medians[0]} | {medians[1]} | {statistics.median(ratios):.3f} | {spread(ratios)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

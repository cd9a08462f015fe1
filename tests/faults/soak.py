"""The soak: many runs of random faults under load, each followed by a comparison row by row. `make soak ARGS='--runs 20'`.

A run is a site of its own, two growing files, and some faults dealt from a shuffled deck: none comes again before all
others have come, so in 22 runs each strikes three times. Half of those that leave another part whole get a second fault
beside them, which strikes while they last. First it is measured how fast a system with the settings as they
come recovers from a restart of the broker and of the database. Every row of the files must
be in the database once: what is missing or dead is lost, what is there beyond the files is doubled. Ends with 1 at any
miss, and then leaves the site's directory, with its logs, servers' files and sources, where it says.

`--sentinels`, `--brokers 2` and `--standby` make other sites, with faults of their own. `--beyond` makes two kinds of them by
turns, both with a standby that takes over in each run: a broker behind sentinels that fails over in each run, and two brokers,
of which one dies in each run, and one is added. It also ends with 1 where the median of all recoveries is longer than 15 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import click

from tests.faults import defaults
from tests.faults.breaking import NETWORK_FAULTS
from tests.faults.fault import SkipError
from tests.faults.fleet import Fleet
from tests.faults.kinds import ALL_FAULTS, EVERY_FAULT, PLAIN, hands, kinds_of
from tests.faults.pairs import seconds, strike_both
from tests.faults.site import ROWS_PER_S, Site, site

PAIRED = 0.5
# Of the median, in runs beyond one machine: sentinels and an election take some of it.
BEYOND_S = 15.0
FAR = 2**32


@dataclass
class Struck:
    """One fault of a run, and the seconds from its end to the next commit; None if there was none in time.

    `second` struck while it lasted; it is empty where none did.
    """

    fault: str
    second: str = ""
    recovery_s: float | None = None
    skipped: str = ""


@dataclass
class Run:
    """One run: what was struck, what the comparison counted, what went wrong."""

    seed: int
    faults: list[Struck] = field(default_factory=list)
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    ended: int = 0
    error: str = ""
    kept: str = ""

    @property
    def missed(self) -> bool:
        """Whether it does not show what it should."""
        return bool(self.lost or self.doubled or self.error)


class MissError(AssertionError):
    """Rows are lost or doubled."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; the exit code."""
    options = parsed(arguments)
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    click.echo(f"seed {options.seed}")
    runs: list[Run] = []
    slow = [] if options.no_defaults else defaults.by_default(options.kinds, Random(options.seed))  # noqa: S311
    turns = cycle([(kind, hands(Random(options.seed + at), options.faults, kind)) for at, kind in enumerate(options.kinds)])  # noqa: S311
    while len(runs) < options.runs and time.monotonic() < deadline:
        kind, deck = next(turns)
        runs.append(one(options.seed + len(runs), next(deck), **kind.options))
        click.echo(line(len(runs), runs[-1]))
    click.echo(f"\n{table(runs)}")
    if options.json:
        document = {"seed": options.seed, "runs": [asdict(run) for run in runs]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    late = options.beyond and statistics.median(recoveries(runs, lambda _: True) or [FAR]) > BEYOND_S
    return 1 if slow or late or any(run.missed for run in runs) else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="make soak", description="Random faults under load, and a comparison row by row.")
    parser.add_argument("--runs", type=int, default=None, help="how many (default: 10, or what the minutes allow)")
    parser.add_argument("--minutes", type=float, help="begin no run after so many minutes")
    parser.add_argument(
        "--seed", type=int, default=SystemRandom().randrange(FAR), help="of the first run; the next has the next"
    )
    parser.add_argument("--faults", nargs="+", choices=EVERY_FAULT, metavar="NAME", help="only these")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--sentinels", action="store_true", help="a broker behind three sentinels, which fails over")
    kinds.add_argument("--brokers", type=int, choices=(1, 2), default=1, help="2: two, one dies, one is added, one is drained")
    kinds.add_argument("--standby", action="store_true", help="a database with a standby, which takes over once in each run")
    kinds.add_argument("--secure", action="store_true", help="a broker with a user for each process, TLS and signatures")
    kinds.add_argument("--beyond", action="store_true", help="by turns sentinels and two brokers, both with a standby")
    parser.add_argument("--no-defaults", action="store_true", help="do not measure restarts with the settings as they come")
    parser.add_argument("--defaults", action="store_true", help="measure failovers with them: --sentinels, --standby")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured there")
    options = parser.parse_args(arguments)
    options.kinds = kinds_of(options)
    for kind in options.kinds:
        if unfit := set(options.faults or ()) - set(kind.faults):
            parser.error(
                f"{', '.join(sorted(unfit))}: not with this kind of site; see --sentinels, --brokers, --standby, --secure"
            )
    options.no_defaults |= options.kinds != [PLAIN] and not options.defaults
    if options.runs is None:
        options.runs = FAR if options.minutes else 10
    return options


def one(seed: int, names: Sequence[str], **of_site: Any) -> Run:
    """One run. Whatever fails in it is noted, not raised."""
    random, run = Random(seed), Run(seed)  # noqa: S311
    try:
        with site(keep=True, **of_site) as running:
            run.kept = str(running.directory)
            strike(running, run, random, names)
            settle(running, run)
    except Exception as error:  # noqa: BLE001 (the next run is of interest whatever this one died of)
        run.error = run.error or f"{type(error).__name__}: {error}"
    else:
        run.kept = ""
    return run


def strike(running: Site, run: Run, random: Random, names: Sequence[str]) -> None:
    """Let rows flow and strike."""
    for name in ("a", "b"):
        running.feed(ROWS_PER_S, name)
    running.wait_for_flow()
    faults = {name: function for name, function in ALL_FAULTS.items() if running.network or name not in NETWORK_FAULTS}
    for name in names:
        others = seconds(name, faults) if running.network else []
        run.faults.append(Struck(name, random.choice(others) if others and random.random() < PAIRED else ""))
        try:
            strike_one(running, random, run.faults[-1])
        except SkipError as error:
            run.faults[-1].skipped = str(error)
        run.faults[-1].recovery_s = round(running.wait_for_flow(500), 2)


def strike_one(running: Site, random: Random, struck: Struck) -> None:
    """Strike one fault, with the other one beside it if there is one."""
    faults = EVERY_FAULT
    if struck.second:
        strike_both(running, random, faults[struck.fault], faults[struck.second])
    else:
        faults[struck.fault](running, random)


def settle(running: Site, run: Run) -> None:
    """Wait until all is committed, and compare. Raises MissError."""
    counts = running.settle()
    run.rows = counts["read"]
    run.lost = counts["missing"] + counts["dead"] + counts["conflict"]
    run.doubled = running.doubled(counts)
    run.ended = running.tended
    if isinstance(running, Fleet) and "LOST:" in running.log():
        raise MissError("rows are said to be lost, and no file went")
    if run.missed:
        raise MissError(f"{run.lost} rows lost, {run.doubled} doubled")


def line(number: int, run: Run) -> str:
    """What is said after each run."""
    struck = ", ".join(f"{title(each)} {each.skipped or shown(each.recovery_s)}" for each in run.faults)
    text = f"run {number} (seed {run.seed}): {run.rows} rows, {run.lost} lost, {run.doubled} doubled; {struck}"
    return text if not run.missed else f"{text}\n  MISS: {run.error}\n  see {run.kept}"


def title(struck: Struck) -> str:
    """What a fault is called, with the one that struck beside it."""
    return f"{struck.fault} + {struck.second}" if struck.second else struck.fault


def table(runs: Sequence[Run]) -> str:
    """The Markdown table: each fault, and all of them."""
    lines = [
        "| fault | runs | rows | lost | doubled | recovery median (s) | worst (s) |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    names = sorted({each.fault for run in runs for each in run.faults if not each.second and not each.skipped})
    lines += [summary(name, runs, partial(is_alone, name)) for name in names]
    lines.append(summary("**two at once**", runs, lambda each: bool(each.second)))
    return "\n".join([*lines, summary("**all**", runs, lambda each: bool(each.fault))])


def is_alone(name: str, struck: Struck) -> bool:
    """Whether it was that fault, with no other beside it."""
    return struck.fault == name and not struck.second


def summary(heading: str, runs: Sequence[Run], of: Callable[[Struck], bool]) -> str:
    """One line of it: rows, lost and doubled are those of the runs with such faults, recovery is the faults' own."""
    with_them = [run for run in runs if any(of(each) for each in run.faults)]
    waits = [each.recovery_s for run in runs for each in run.faults if of(each) and not each.skipped]
    known = recoveries(runs, of)
    median = statistics.median(known) if known else None
    worst = None if None in waits else max(known, default=None)
    sums = (sum(each.rows for each in with_them), sum(each.lost for each in with_them), sum(each.doubled for each in with_them))
    columns = [len(with_them), *(f"{each:,}" for each in sums), shown(median), shown(worst)]
    return f"| {heading} | {' | '.join(map(str, columns))} |"


def recoveries(runs: Sequence[Run], of: Callable[[Struck], bool]) -> list[float]:
    """The recoveries from some faults."""
    every = (each for run in runs for each in run.faults if of(each) and not each.skipped)
    return [each.recovery_s for each in every if each.recovery_s is not None]


def shown(seconds: float | None) -> str:
    """Seconds, or a dash."""
    return "-" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    sys.exit(main())

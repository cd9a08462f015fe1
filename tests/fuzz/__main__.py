"""Fuzzes each target for some minutes in a process of its own: `make fuzz ARGS='--minutes 10'`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import SystemRandom

import click

from tests.fuzz.child import fuzz
from tests.fuzz.targets import TARGETS


@click.command()
@click.option("--minutes", type=float, default=1.0, show_default=True, help="How long each target is fuzzed.")
@click.option("--target", "names", multiple=True, type=click.Choice(list(TARGETS)), help="Only this one; may be repeated.")
@click.option("--seed", type=int, help="What a run said, to make it again.")
@click.option("--kept", type=click.Path(path_type=Path), default=Path(".fuzz"), show_default=True, help="Where crashes go.")
@click.option("--here", is_flag=True, hidden=True)
def main(minutes: float, names: tuple[str, ...], seed: int | None, kept: Path, here: bool) -> None:
    """Fuzz what takes foreign bytes. Exits 1 if anything crashed, hung or used too much memory."""
    chosen = seed if seed is not None else SystemRandom().randrange(1 << 32)
    if here:
        sys.exit(bool(fuzz(names[0], minutes * 60, chosen, kept)))
    failed = False
    for name in names or TARGETS:
        options = ("--minutes", str(minutes), "--target", name, "--seed", str(chosen), "--kept", str(kept), "--here")
        ended = subprocess.run([sys.executable, "-m", "tests.fuzz", *options], check=False).returncode
        if ended not in {0, 1}:
            click.echo(f"{name}: the process ended with {ended}; its input is {kept / name}.last")
        failed |= ended != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()

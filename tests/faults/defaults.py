"""How long nothing is committed with the settings as they come: restarts of servers, and failovers where there are others.

A restart is measured from its end to the next commit, as nothing can be committed before. A failover is measured as the longest
stretch without a commit, from the fault on, where sentinels wait for DOWN_AFTER_MS.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Any, Self

import click

from telemetry.settings import Settings
from tests.faults.breaking import SENTINEL_FAULTS, STANDBY_FAULTS
from tests.faults.fault import Fault
from tests.faults.kinds import ALL_FAULTS, PLAIN, SENTINELS, STANDBY, Kind
from tests.faults.site import ROWS_PER_S, Site, site

# Those of the system, not of the other tests of faults; and what restarts must not cost more than.
DEFAULTS = (
    "STREAM_INTERVAL_S",
    "REPUBLISH_AFTER_S",
    "LEASE_S",
    "VISIBILITY_TIMEOUT_S",
    "WINDOW_BYTES",
    "LOCK_TIMEOUT_S",
    "STALL_S",
)
RESTARTS = ("kill_broker", "lose_broker_files", "stop_database_fast", "kill_postmaster")
RECOVERY_S = 10.0
# What docs/SCALING.md tells people to set.
DOWN_AFTER_MS = 5000
LOOK_S = 0.05


class Stretch:
    """While entered, watches the commits of a site. `longest_s` is the longest time without one."""

    def __init__(self, of: Site) -> None:
        self.longest_s = 0.0
        self._site = of
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        rows, since_s = 0, time.monotonic()
        while not self._over.wait(LOOK_S):
            now = self._site.committed_rows()
            # 0 while the database is away, and less for a standby that lagged.
            if now and now != rows:
                rows, since_s = now, time.monotonic()
            self.longest_s = max(self.longest_s, time.monotonic() - since_s)


def by_default(kinds: Sequence[Kind], random: Random) -> list[str]:
    """Measure, say it, and return the restarts that took too long."""
    slow: list[str] = []
    if PLAIN in kinds:
        slow = _restarts(random)
    if SENTINELS in kinds:
        os.environ["DOWN_AFTER_MS"] = str(DOWN_AFTER_MS)
        _failovers(SENTINEL_FAULTS, random, sentinels=True)
        del os.environ["DOWN_AFTER_MS"]
    if STANDBY in kinds:
        _failovers(STANDBY_FAULTS, random, with_standby=True)
    return slow


def _restarts(random: Random) -> list[str]:
    lines, slow = ["", "| restart, default settings | recovery (s) |", "| --- | ---: |"], []
    with site(**_settings()) as running:
        running.feed(ROWS_PER_S)
        running.wait_for_flow()
        for name in RESTARTS:
            ALL_FAULTS[name](running, random)
            recovery_s = running.wait_for_flow(500)
            lines.append(f"| {name} | {recovery_s:.1f} |")
            slow += [name] if recovery_s > RECOVERY_S else []
    click.echo("\n".join(lines))
    return slow


def _failovers(faults: dict[str, Fault], random: Random, **of_site: Any) -> None:
    """Each at a site of its own, as it may use it up."""
    click.echo("\n| failover, default settings | longest without a commit (s) |\n| --- | ---: |")
    for name, fault in faults.items():
        with site(keep=True, **of_site, **_settings()) as running:
            running.feed(ROWS_PER_S)
            running.wait_for_flow()
            with Stretch(running) as stretch:
                fault(running, random)
                running.wait_for_flow(5 * ROWS_PER_S)
            click.echo(f"| {name} | {stretch.longest_s:.1f} |")


def _settings() -> dict[str, Any]:
    return {name.lower(): getattr(Settings.load({}), name.lower()) for name in DEFAULTS}

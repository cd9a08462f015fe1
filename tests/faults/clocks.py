"""Clocks that are wrong by hours: those of the edge, of the collectors, of the broker, of the database.

For our own processes it is a module that Python imports at its start, for the servers Debian's `libfaketime`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from unittest.mock import patch

from telemetry.local.servers import postgres, server
from tests.faults.fault import SkipError, soak_fault
from tests.faults.site import Site, kill_tree

# Python imports it at its start, from a directory on PYTHONPATH: the whole process lives at another time.
SITECUSTOMIZE = """
import datetime, time

SHIFT_S = {shift_s}
true_time, true_time_ns, true_datetime = time.time, time.time_ns, datetime.datetime


class Kind(type):
    def __instancecheck__(cls, each):
        return isinstance(each, true_datetime)


class Shifted(true_datetime, metaclass=Kind):
    @classmethod
    def now(cls, tz=None):
        return true_datetime.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return true_datetime.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

    today = now


time.time = lambda: true_time() + SHIFT_S
time.time_ns = lambda: true_time_ns() + SHIFT_S * 10**9
datetime.datetime = Shifted
open({witness!r}, "a").write("imported\\n")
"""

HOURS = (-5, -2, 2, 5)
LIBRARIES = Path("/usr/lib")
TOO_NEW = "SELECT count(*) FROM quarantine WHERE reason = 'too_new'"


@soak_fault
def shift_clock(site: Site, random: Random) -> None:
    """The edge's processes start again with a clock that is wrong by hours, and later with a right one."""
    for variables in (shifted(site, random), {}):
        for process in site.edge:
            kill_tree(process.pid)
            process.wait()
        site.edge.clear()
        kept = dict(site.edge_variables)
        site.edge_variables |= variables
        site.start_beat()
        site.start_streamer()
        site.edge_variables = kept
        site.wait_for_flow(500)


@soak_fault
def shift_clock_of_collectors(site: Site, random: Random) -> None:
    """The collectors start again with a clock that is wrong by hours, and later with a right one."""
    read_now(site)
    for variables in (shifted(site, random), {}):
        kept = dict(site.centre_variables)
        site.centre_variables |= variables
        for process in site.collectors[:]:
            kill_tree(process.pid)
            process.wait()
            site.collectors.remove(process)
            site.start_collector()
        site.centre_variables = kept
        site.wait_for_flow(500)
    assert site.count(TOO_NEW) == 0, "a wrong clock has put readings into quarantine"


@soak_fault
def shift_clock_of_broker(site: Site, random: Random) -> None:
    """The broker's machine starts again with a clock that is wrong by hours; it is set right by one more start."""
    read_now(site)
    site.valkey.stop()
    with wrong_servers(random):
        site.valkey.start()
    site.wait_for_flow(500)
    site.valkey.stop()
    site.valkey.start()
    assert site.count(TOO_NEW) == 0, "a wrong clock has put readings into quarantine"


@soak_fault
def shift_clock_of_database(site: Site, random: Random) -> None:
    """The same for Postgres' machine."""
    read_now(site)
    site.postgres.stop()
    with wrong_servers(random):
        site.postgres.start()
    site.wait_for_flow(500)
    site.postgres.stop()
    site.postgres.start()
    assert site.count(TOO_NEW) == 0, "a wrong clock has put readings into quarantine"


def read_now(site: Site) -> None:
    """Let a file grow whose readings are of this moment: only of such a clock can say that they are too new."""
    feeder = site.feed(200, name=f"live-{len(site.feeders)}", begin=datetime.now(UTC))
    site.wait_until(lambda: site.committed_bytes(feeder) > 0, what="readings of now stored")


def shifted(site: Site, random: Random) -> dict[str, str]:
    """Variables that give one of our processes another clock."""
    directory = site.directory / "shifted"
    directory.mkdir(exist_ok=True)
    text = SITECUSTOMIZE.format(shift_s=random.choice(HOURS) * 3600, witness=str(directory / "witness"))
    (directory / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": str(directory)}


@contextmanager
def wrong_servers(random: Random) -> Iterator[None]:
    """Give another clock to the servers that start meanwhile. Raises SkipError where there is no libfaketime."""
    library = next(LIBRARIES.glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise SkipError("libfaketime is not installed (Debian: apt-get install faketime)")
    hours = random.choice(HOURS)
    wrong = {"LD_PRELOAD": str(library), "FAKETIME": f"{hours:+}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    environment = {**server.environment(), **wrong}
    with patch.object(server, "environment", lambda: environment), patch.object(postgres, "environment", lambda: environment):
        yield

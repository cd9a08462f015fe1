"""Clocks that are wrong by hours: those of the edge, of the collectors, of the broker, of the database.

For our own processes it is a module that Python imports at its start, for the servers Debian's `libfaketime`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from unittest.mock import patch

from telemetry.local.servers import postgres, server
from telemetry.local.servers.server import Server
from tests.faults.fault import SkipError, pause, soak_fault
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
APART_S = 60
LIBRARIES = Path("/usr/lib")
TOO_NEW = "SELECT count(*) FROM quarantine WHERE reason = 'too_new'"


@soak_fault
def shift_clock(site: Site, random: Random) -> None:
    """The edge's processes start again with a clock that is wrong by hours, and later with a right one."""
    for variables in (shifted(site, random.choice(HOURS)), {}):
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
    for variables in (shifted(site, random.choice(HOURS)), {}):
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
    give_another_clock(site, site.valkey, random.choice(HOURS))


@soak_fault
def shift_clock_of_database(site: Site, random: Random) -> None:
    """The same for Postgres' machine."""
    give_another_clock(site, site.postgres, random.choice(HOURS))


def give_another_clock(site: Site, server: Server, hours: int, for_s: float = 0.0) -> None:
    """Start a server with a clock that is wrong by hours, let rows flow, for so long at least, and set the clock right."""
    read_now(site)
    server.stop()
    with wrong_servers(hours):
        server.start()
    site.wait_for_flow(500)
    time.sleep(for_s)
    server.stop()
    server.start()
    site.wait_for_flow(500)
    assert site.count(TOO_NEW) == 0, "a wrong clock has put readings into quarantine"


@soak_fault
def step_clock_of_broker(site: Site, random: Random) -> None:
    """The clock of the broker's machine jumps back and forth by hours while it runs."""
    step_clock(site, site.valkey, random)


@soak_fault
def step_clock_of_database(site: Site, random: Random) -> None:
    """The same for Postgres' machine."""
    step_clock(site, site.postgres, random)


def step_clock(site: Site, server: Server, random: Random) -> None:
    """Start a server with a clock that is told what to be by a file, and let it jump."""
    read_now(site)
    told = site.directory / "clock"
    told.write_text("+0")
    told.chmod(0o644)
    server.stop()
    with wrong_servers(0, {"FAKETIME_TIMESTAMP_FILE": str(told), "FAKETIME_NO_CACHE": "1"}):
        server.start()
    site.wait_for_flow(500)
    for hours in (*random.sample(HOURS, 2), 0):
        told.write_text(f"{hours:+}h" if hours else "+0")
        assert abs(_now_s(site, server) - time.time() - hours * 3600) < APART_S, "the clock did not jump"
        site.wait_for_flow(500)
        pause(random, 4)
    server.stop()
    server.start()
    site.wait_for_flow(500)
    assert site.count(TOO_NEW) == 0, "a wrong clock has put readings into quarantine"


def _now_s(site: Site, server: Server) -> float:
    """What a server takes for now."""
    if server is site.postgres:
        return float(site.count("SELECT extract(epoch FROM clock_timestamp())"))
    with site.client() as client:
        seconds, _ = client.time()
        return float(seconds)


def read_now(site: Site) -> None:
    """Let a file grow whose readings are of this moment: only of such a clock can say that they are too new."""
    feeder = site.feed(200, name=f"live-{len(site.feeders)}", begin=datetime.now(UTC))
    site.wait_until(lambda: site.committed_bytes(feeder) > 0, what="readings of now stored")


def shifted(site: Site, hours: int) -> dict[str, str]:
    """Variables that give our processes another clock."""
    directory = site.directory / "shifted"
    directory.mkdir(exist_ok=True)
    text = SITECUSTOMIZE.format(shift_s=hours * 3600, witness=str(directory / "witness"))
    (directory / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(directory), os.environ.get("PYTHONPATH"))))}


@contextmanager
def wrong_servers(hours: int, told: Mapping[str, str] | None = None) -> Iterator[None]:
    """Give another clock to the servers that start meanwhile, by hours or as libfaketime is told. Raises SkipError."""
    library = next(LIBRARIES.glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        raise SkipError("libfaketime is not installed (Debian: apt-get install faketime)")
    clock = told or {"FAKETIME": f"{hours:+}h"}
    wrong = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", **clock}
    environment = {**server.environment(), **wrong}
    with patch.object(server, "environment", lambda: environment), patch.object(postgres, "environment", lambda: environment):
        yield

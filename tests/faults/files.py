"""Faults of the files while they are read."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from functools import partial
from random import Random

from tests.faults.fault import fault, pause, soak_fault
from tests.faults.feeder import Feeder
from tests.faults.site import Site, freeze, kill_tree, thaw
from tests.waiting import eventually


def wait_until_read(site: Site, feeder: Feeder) -> None:
    """Wait until an edge that lives has a file open: what was read of it before may be of a process that is gone."""
    before = site.committed_bytes(feeder)
    eventually(lambda: site.committed_bytes(feeder) > before, 30, what="the file is open")


@fault
def rotate_file(site: Site, random: Random) -> None:
    """The file is renamed in its directory, and a new one begins under its name."""
    feeder = site.feeders[-1]
    feeder.finish()
    number = len(site.feeders)
    feeder.path.rename(feeder.path.with_name(f"{feeder.path.stem}-{number}.csv"))
    site.feed(name=f"next-{number}")


@fault
def rotate_file_away(site: Site, random: Random) -> None:
    """The file is renamed out of what the patterns match, unread, and its writer writes on to it for a while."""
    feeder = site.feeders[-1]
    # Whoever has not opened it cannot follow it.
    wait_until_read(site, feeder)
    feeder.rename(site.place_to_keep(feeder))
    pause(random)
    feeder.finish()
    site.feed(name=f"after-{len(site.feeders)}")


@fault
def lose_edge_and_broker_at_a_rotation(site: Site, random: Random) -> None:
    """The edge and the broker lose power with a file unread; it is renamed in its directory to where no pattern leads."""
    feeder = site.feeders[-1]
    wait_until_read(site, feeder)
    for process in site.edge:
        kill_tree(process.pid)
        process.wait()
    with site.client() as client:
        client.flushall()
    feeder.rename(feeder.path.with_name(f"{feeder.path.name}.1"))
    feeder.finish()
    site.tend()
    site.feed(name=f"after-{len(site.feeders)}")


@fault
def truncate_file(site: Site, random: Random) -> None:
    """What is stored is cut away, and the same file goes on with other rows, as with logrotate's copytruncate."""
    feeder = site.feeders[-1]
    # Of a file that was begun just now nothing is stored yet.
    site.wait_until(lambda: site.committed_bytes(feeder) > 0, what=f"some of {feeder.path.name} committed")
    site.retire(feeder)
    feeder.path.write_text("")
    pause(random)
    site.feed(name=feeder.path.stem)


@fault
def replace_file(site: Site, random: Random) -> None:
    """A file is deleted while some of it is unread, and another one appears under its name."""
    delete_while_read(site, random)
    site.feed(name=site.feeders[-1].path.stem)


@fault
def delete_file(site: Site, random: Random) -> None:
    """A file is deleted while some of it is unread; another one begins elsewhere."""
    delete_while_read(site, random)
    site.feed(name=f"another-{len(site.feeders)}")


def delete_while_read(site: Site, random: Random) -> None:
    """Delete a file that the edge has open and has not read to its end."""
    feeder = site.feeders[-1]
    wait_until_read(site, feeder)
    feeder.finish()
    # What the edge still reads by its descriptor is kept to be compared with.
    os.link(feeder.path, site.place_to_keep(feeder))
    feeder.path.unlink()


@soak_fault
def unmount_volume(site: Site, random: Random) -> None:
    """The edge restarts, and finds an empty mount point for a while where its files are; then the volume is back."""
    growing = [feeder for feeder in site.feeders if feeder.is_alive()]
    for collector in site.collectors:
        freeze(collector)
    # What is published now is not acknowledged when the edge ends.
    pause(random)
    for process in site.edge:
        kill_tree(process.pid)
        process.wait()
    for feeder in growing:
        feeder.finish()
    for collector in site.collectors:
        thaw(collector)
    sources = site.directory / "sources"
    volume = sources.rename(site.directory / "volume")
    sources.mkdir()
    site.tend()
    # Longer than a file may be away that is no loss.
    time.sleep(2 * site.settings.lease_s + site.settings.close_after_s + random.uniform(1, 3))
    # A fault beside this one may have begun a file meanwhile.
    with ExitStack() as held:
        for feeder in site.feeders:
            held.enter_context(feeder.held())
        for late in sources.iterdir():
            late.rename(volume / late.name)
        sources.rmdir()
        volume.rename(sources)
    for feeder in growing:
        site.wait_until(partial(_is_stored, site, feeder), "the volume's files stored")
    for _ in growing:
        site.feed(name=f"after-{len(site.feeders)}")


def _is_stored(site: Site, feeder: Feeder) -> bool:
    return site.committed_bytes(feeder) == feeder.path.stat().st_size


@fault
def copy_over(site: Site, random: Random) -> None:
    """A file comes from elsewhere, as by rsync: a longer copy takes its place again and again, once while the edge is away."""
    grown, copied = site.feeders[-1].path, site.directory / "sources" / f"copied-{random.randrange(1 << 32)}.csv"
    # Half a line at its end may be being written.
    whole = grown.read_bytes().rpartition(b"\n")[0].splitlines()[:6000]
    rows = b"".join(line + b"\n" for line in whole).replace(b"GPU-", f"GPU-{copied.stem}-".encode())
    for share in range(1, 13):
        half = copied.with_suffix(".part")
        cut = len(rows) * share // 12
        half.write_bytes(rows[:cut])
        os.utime(half, (share * 1_000_000, share * 1_000_000))
        half.rename(copied)
        if share == 6:
            streamer = site.edge.pop()
            kill_tree(streamer.pid)
            streamer.wait()
        if share == 8:
            site.start_streamer()
        pause(random, 0.6)

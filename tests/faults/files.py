"""Faults of the files while they are read."""

from __future__ import annotations

from random import Random

from tests.faults.fault import fault, pause
from tests.faults.site import Site


@fault
def rotate_file(site: Site, random: Random) -> None:
    """The file is renamed, and a new one begins under its name."""
    feeder = site.feeders[-1]
    feeder.finish()
    number = len(site.feeders)
    feeder.path.rename(feeder.path.with_name(f"{feeder.path.stem}-{number}.csv"))
    site.feed(name=f"next-{number}")


@fault
def truncate_file(site: Site, random: Random) -> None:
    """What is stored is cut away, and the same file goes on with other rows, as with logrotate's copytruncate."""
    feeder = site.feeders[-1]
    site.retire(feeder)
    feeder.path.write_text("")
    pause(random)
    site.feed(name=feeder.path.stem)


@fault
def replace_file(site: Site, random: Random) -> None:
    """A file is deleted, and another one appears under its name."""
    feeder = site.feeders[-1]
    site.retire(feeder)
    feeder.path.unlink()
    site.feed(name=feeder.path.stem)

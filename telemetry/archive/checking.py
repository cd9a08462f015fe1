"""Verifies an archive: each file against its manifest, and against the database as far as that has the day, bit for bit.

What the database believes of a day goes by it: one that is well is noted as archived, one that is not is no longer so, and
retention keeps it, until it is written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine

from telemetry.archive import files, manifests, runs, writing
from telemetry.archive.manifests import Manifest
from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.runs import Content, DisorderError
from telemetry.store.read import archivable
from telemetry.store.upkeep import archived
from telemetry.store.upkeep.archived import Archived

# Equal to the database; not in the database as a sealed day; the database has more, so that the day is to be written again; the
# archive has what the database has not; not as the manifest says.
State = Literal["equal", "alone", "behind", "differs", "damaged"]


class Checked(NamedTuple):
    """How a day of the archive stands."""

    day: date
    state: State
    samples: int
    why: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state in {"equal", "alone", "behind"}


def check(engine: Engine, place: Place) -> Iterator[Checked]:
    """Verify all days of an archive, in order. Raises ArchiveError where it cannot be reached, and BusyError."""
    for day in manifests.days(place):
        with writing.moment(engine) as connection, connection.begin():
            if not archivable.begin(connection):
                raise writing.BusyError
            yield _checked(connection, place, day)


def intact(place: Place, manifest: Manifest) -> Content:
    """What the file of a manifest holds. Raises ArchiveError if that is not what the manifest says."""
    name = f"{place.shown}/{manifest.file}"
    if not place.has(manifest.file):
        raise ArchiveError(f"{name} is not there")
    size_bytes, checksum = place.checksum(manifest.file)
    if (size_bytes, checksum) != (manifest.size_bytes, manifest.sha256):
        raise ArchiveError(f"{name} has {size_bytes:,} bytes with another checksum than its manifest says")
    with place.open(manifest.file) as stream:
        try:
            content = runs.content(files.runs(stream))
        except DisorderError as error:
            raise ArchiveError(f"{name}: {error}") from None
    if content != manifest.content:
        raise ArchiveError(f"{name} holds {content.samples:,} samples with another digest than its manifest says")
    return content


def _checked(connection: Connection, place: Place, day: date) -> Checked:
    try:
        manifest = manifests.there(place, day)
        content = intact(place, manifest)
    except ArchiveError as error:
        archived.forget(connection, place.shown, day)
        return Checked(day, "damaged", 0, str(error))
    here = runs.content(writing.read(connection, day) if archivable.is_sealed(connection, day) else ())
    if not here.samples:
        return Checked(day, "alone", content.samples)
    if here == content:
        archived.record(connection, place.shown, Archived(day, *content))
        return Checked(day, "equal", content.samples)
    archived.forget(connection, place.shown, day)
    with place.open(manifest.file) as stream:
        lost = runs.lost(files.runs(stream), writing.read(connection, day))
    if not lost:
        return Checked(day, "behind", content.samples, f"the database has {here.samples - content.samples:,} samples more")
    return Checked(day, "differs", content.samples, f"the database has not {lost:,} of its samples, or with other values")

"""Writes sealed days to a place, and verifies each before the database is told that it is there.

A day is read in one transaction, written aside, read back, and compared: its digest must be that of what was read. Then the
file gets its name, then its manifest is written, and at last the database notes it, as the transaction commits. Cut off
anywhere, the day is done again, and comes to the same bytes. A former file of the day stays where it holds the same; where it
holds samples that the database does not have any more, nothing is written over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine

from telemetry.archive import files, manifests, runs
from telemetry.archive.manifests import Manifest, file_of
from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.runs import Content, Run, Sum
from telemetry.store.read import archivable
from telemetry.store.upkeep import archived
from telemetry.store.upkeep.archived import Archived


class Written(NamedTuple):
    """A day that is in the archive now: `same` if its file was there already, `anew` if it had another one."""

    day: date
    samples: int
    size_bytes: int
    became: Literal["written", "anew", "same"]


class BusyError(Exception):
    """Another process archives."""


def pending(engine: Engine, place: Place, before: date) -> list[archivable.Day]:
    """The sealed days before one that are to be written."""
    with moment(engine) as connection:
        archivable.begin(connection)
        return archivable.days(connection, place.shown, before)


def moment(engine: Engine) -> Connection:
    """A connection whose transaction sees one moment."""
    return engine.connect().execution_options(isolation_level="REPEATABLE READ")


def write(engine: Engine, place: Place, day: date, *, replace: bool = False) -> Written:
    """Bring a day into the archive as the database has it.

    `replace`: even if that loses samples which the archive has alone. Raises ArchiveError, and BusyError.
    """
    with moment(engine) as connection, connection.begin():
        if not archivable.begin(connection):
            raise BusyError
        with place.writing(file_of(day)) as (stream, aside):
            with place.errors():
                content = _write(connection, day, stream)
                stream.close()
            _compare(place, aside, content)
            size_bytes, checksum = place.checksum(aside)
            manifest = Manifest(day, file_of(day), size_bytes, checksum, content)
            became = _former(place, aside, manifest, replace=replace)
            if became == "same":
                place.remove(aside)
            else:
                place.publish(aside, manifest.file)
                manifests.write(place, manifest)
        archived.record(connection, place.shown, Archived(day, *content))
    return Written(day, content.samples, size_bytes, became)


def read(connection: Connection, day: date) -> Iterator[Run]:
    """What the database has of a sealed day, run by run."""
    for piece in files.pieces(archivable.series_of(connection, day)):
        for one, samples in zip(piece, archivable.samples_of(connection, piece, day), strict=True):
            yield Run(one.key, samples.ts_us, samples.values)


def _write(connection: Connection, day: date, stream: object) -> Content:
    total, owners = Sum(), archivable.owners_of(connection, day)
    with files.writer(stream) as file:
        for piece in files.pieces(archivable.series_of(connection, day)):
            samples = archivable.samples_of(connection, piece, day)
            for one, each in zip(piece, samples, strict=True):
                total.add(Run(one.key, each.ts_us, each.values))
            file.add(piece, samples, owners)
        file.tell(total.content())
    return total.content()


def _compare(place: Place, path: str, content: Content) -> None:
    """Raise ArchiveError if a file does not hold what was written."""
    with place.open(path) as stream:
        there = runs.content(files.runs(stream))
    if there != content:
        raise ArchiveError(f"{place.shown}/{path} does not hold what was written to it: is the disk or the store well?")


def _former(place: Place, aside: str, manifest: Manifest, *, replace: bool) -> Literal["written", "anew", "same"]:
    """What a new file is to the one that the day has. Raises ArchiveError if that has samples which the new one lacks."""
    if not place.has(manifest.file):
        return "written"
    if _is_there(place, manifest):
        return "same"
    if replace:
        return "anew"
    name = f"{place.shown}/{manifest.file}"
    try:
        with place.open(manifest.file) as before, place.open(aside) as now:
            lost = runs.lost(files.runs(before), files.runs(now))
    except ArchiveError as error:
        raise ArchiveError(f"{name} cannot be read ({error}): restore it, or give it up with --replace") from None
    if lost:
        raise ArchiveError(
            f"{name} has {lost:,} samples that the database has not, or with other values: read them back "
            f"(telemetry ingest --archive), or give them up with --replace"
        )
    return "anew"


def _is_there(place: Place, manifest: Manifest) -> bool:
    """Whether a place has this very manifest, and its file."""
    try:
        there = manifests.read(place, manifest.day)
    except ArchiveError:
        return False
    return there == manifest and place.checksum(manifest.file) == (manifest.size_bytes, manifest.sha256)

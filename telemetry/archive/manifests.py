"""What is said of each archived day beside its file: counts and checksums, a JSON document a day.

It comes after the file has got its name: a day without one, or with one of another file, is not done, and is written again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from telemetry.archive.places import ArchiveError, Place
from telemetry.archive.runs import Content

VERSION = 1
DIRECTORY = "manifests"
ENDING = ".json"


class Manifest(NamedTuple):
    """A day of the archive: its file, how many bytes it has, the SHA-256 of those, and what they hold."""

    day: date
    file: str
    size_bytes: int
    sha256: str
    content: Content

    def document(self) -> bytes:
        """As it is written."""
        fields = {"version": VERSION, **self._asdict(), "day": str(self.day), "content": self.content._asdict()}
        return json.dumps(fields, indent=2).encode() + b"\n"


def file_of(day: date) -> str:
    """The path of the file of a day. One a day: so a day that is written again is there once."""
    return f"readings/day={day}/readings.parquet"


def read(place: Place, day: date) -> Manifest | None:
    """The manifest of a day, None if there is none. Raises ArchiveError for one that cannot be read."""
    document = place.read(_path(day))
    if document is None:
        return None
    try:
        fields = json.loads(document)
        if fields.pop("version") != VERSION:
            raise ArchiveError(f"{place.shown}/{_path(day)} is of a later version")
        manifest = Manifest(**{**fields, "day": date.fromisoformat(fields["day"]), "content": Content(**fields["content"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArchiveError(f"{place.shown}/{_path(day)} is no manifest: {error}") from None
    if manifest.day != day or manifest.file != file_of(day):
        raise ArchiveError(f"{place.shown}/{_path(day)} is the manifest of another day")
    return manifest


def there(place: Place, day: date) -> Manifest:
    """The manifest of a day. Raises ArchiveError also if there is none."""
    if (manifest := read(place, day)) is None:
        raise ArchiveError(f"{place.shown} has no manifest of {day}")
    return manifest


def write(place: Place, manifest: Manifest) -> None:
    """Put a manifest in its place, whole or not at all."""
    place.write(_path(manifest.day), manifest.document())


def days(place: Place) -> Iterator[date]:
    """The days that have a manifest, in order."""
    for name in place.names(DIRECTORY):
        if name.endswith(ENDING):
            try:
                yield date.fromisoformat(name.removesuffix(ENDING))
            except ValueError:
                continue


def _path(day: date) -> str:
    return f"{DIRECTORY}/{day}{ENDING}"

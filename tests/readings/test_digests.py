"""Paths as text: whole where they can be, shortened where they are too long for an index."""

from __future__ import annotations

from pathlib import Path

from telemetry.readings.digests import MAX_PATH_BYTES, wire_path


def test_a_path_of_the_usual_length_is_whole() -> None:
    for text in ("/data/a.csv", "/data/é.csv", "/" + "a" * (MAX_PATH_BYTES - 1)):
        assert wire_path(Path(text)) == text
    assert wire_path("/data/\udcff.csv") == "/data/\ufffd.csv"


def test_a_long_path_keeps_its_ends_and_differs_from_others() -> None:
    one, other = (f"/data/{'é' * 600}{n}{'è' * 600}/a.csv" for n in (1, 2))
    assert len(wire_path(one).encode()) <= MAX_PATH_BYTES
    assert wire_path(one).startswith("/data/é")
    assert wire_path(one).endswith("è/a.csv")
    assert wire_path(one) != wire_path(other)
    assert wire_path(wire_path(one)) == wire_path(one)

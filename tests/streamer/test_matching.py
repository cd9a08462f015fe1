"""Which paths a pattern names, whatever links there are."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest

from telemetry.streamer.matching import matching


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with files at several depths, a hidden one, and odd names."""
    for name in ("a.csv", "x/b.csv", "x/y/c.csv", "x/y/d.txt", ".hidden/e.csv", "x/[z]/f.csv"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    "pattern", ["*.csv", "**/*.csv", "x/**/*.csv", "**/y/*", "x/**", "*/**/y/**/*.csv", "none/**/*.csv", "x/b.csv"]
)
def test_patterns_match_as_those_of_glob(tree: Path, pattern: str) -> None:
    expected = {path for path in glob.glob(str(tree / pattern), recursive=True) if Path(path).is_file()}  # noqa: PTH207
    assert {path for path in matching([str(tree / pattern)]) if Path(path).is_file()} == expected


def test_links_in_a_circle_are_not_followed(tree: Path) -> None:
    for name in ("one", "two"):
        (tree / "x" / name).symlink_to(tree)
        (tree / "x" / "y" / name).symlink_to(tree / "x")
    (tree / "linked.csv").symlink_to(tree / "a.csv")
    names = [str(Path(path).relative_to(tree)) for path in matching([str(tree / "**" / "*.csv")])]
    assert names == ["a.csv", "linked.csv", "x/[z]/f.csv", "x/b.csv", "x/y/c.csv"]

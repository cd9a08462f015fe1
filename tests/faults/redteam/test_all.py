"""Each construction of the red team has a test, and docs/FAULTS.md says which, and what happens now."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.fixtures.processes import ROOT

CONSTRUCTIONS = [*(f"R{number}" for number in range(1, 34)), "S2", "S3"]
LISTING = "tests.faults.redteam.listing"


def marked() -> dict[str, set[str]]:
    """The tests of each construction, without their parameters."""
    # To collect all tests takes long on a busy machine.
    paths = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "redteam" in path.read_text(encoding="utf-8")]
    command = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "redteam", "-p", LISTING)
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    tests: dict[str, set[str]] = {}
    for name, test in re.findall(r"(?m)^redteam (\S+) ([^\s\[]+)", done.stdout):
        tests.setdefault(name, set()).add(test)
    return tests


def documented() -> dict[str, set[str]]:
    """The tests that the page names, for each construction."""
    page = (ROOT / "docs" / "FAULTS.md").read_text(encoding="utf-8")
    section = page.partition("## What a red team found")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| ((?:R|S)\d+) \|.*\| ([^|]+) \|$", section)
    return {name: set(re.findall(r"`(\w+)`", tests)) for name, tests in rows}


def test_each_construction_has_a_test_and_a_row_on_the_page_that_names_one() -> None:
    tests, rows = marked(), documented()
    assert sorted(tests) == sorted(CONSTRUCTIONS)
    assert list(rows) == CONSTRUCTIONS
    for name, named in rows.items():
        known = {test.partition("::")[2] for test in tests[name]}
        assert named, name
        assert named <= known, name

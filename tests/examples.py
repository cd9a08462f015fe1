"""How many examples a property is tried on: some, so that all tests end soon; all of them where EXAMPLES=all says so.

`make slow` does. Continuous integration tries the same examples at each run, so that more of them would find nothing new.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

SHARE, FEWEST = 4, 25
ALL = os.environ.get("EXAMPLES") == "all"
# What Hypothesis tries unless it is told.
USUAL = 100


def examples(count: int) -> int:
    """How many of `count` are tried in this run."""
    return count if ALL else min(count, max(count // SHARE, FEWEST))


def pytest_configure(config: pytest.Config) -> None:
    """Do so also where a test names no number. Nor does an example fail for a machine that has other work."""
    settings.register_profile("examples", settings(), max_examples=examples(USUAL), deadline=None)
    settings.load_profile("examples")

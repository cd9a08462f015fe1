"""A plugin that lists the tests of each construction of the red team: `pytest --collect-only -m redteam -p` with its name."""

from __future__ import annotations

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Print a line for each mark of each test."""
    for item in session.items:
        for mark in item.iter_markers("redteam"):
            print(f"redteam {mark.kwargs['of']} {item.nodeid}")  # noqa: T201 - what it is for

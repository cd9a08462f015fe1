"""The main process believes a failure that a child has seen, until a child succeeds or a minute has passed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from telemetry.monitoring.counters.transactions import BELIEVED_S, LastTransaction


@pytest.mark.parametrize("shared", [False, True])
def test_the_last_one_counts(shared: bool, tmp_path: Path) -> None:
    last = LastTransaction(tmp_path if shared else None)
    assert not last.failed()
    last.ended(failed=True)
    assert last.failed()
    last.ended(failed=False)
    assert not last.failed()


def test_a_failure_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    last = LastTransaction(None)
    last.ended(failed=True)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + BELIEVED_S + 1)
    assert not last.failed()


def test_what_a_child_has_seen_is_known_to_its_parent(tmp_path: Path) -> None:
    last = LastTransaction(tmp_path)
    child = os.fork()
    if child == 0:
        last.ended(failed=True)
        os._exit(0)
    os.waitpid(child, 0)
    assert last.failed()

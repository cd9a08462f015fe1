"""Paths that are left alone for a while."""

from __future__ import annotations

import pytest

from telemetry.streamer.deferred import Deferred

PATH = "a.csv"


def test_a_path_is_left_alone_until_its_time_is_over() -> None:
    deferred = Deferred()
    assert not deferred.holds(PATH)
    assert not deferred.has_waited(PATH)
    deferred.put(PATH, 60)
    assert deferred.holds(PATH)
    deferred.put(PATH, -1)
    assert not deferred.holds(PATH)
    assert deferred.has_waited(PATH)
    deferred.drop(PATH)
    assert not deferred.has_waited(PATH)


def test_an_error_is_logged_once_and_another_one_too(caplog: pytest.LogCaptureFixture) -> None:
    deferred = Deferred()
    for error in (ValueError("one"), ValueError("one"), ValueError("two")):
        deferred.fail(PATH, error, 60)
    assert [record.exc_info[1].args[0] for record in caplog.records if record.exc_info and record.exc_info[1]] == ["one", "two"]
    assert deferred.holds(PATH)
    deferred.clear()
    assert not deferred.holds(PATH)

"""When a worker counts as stalled."""

from __future__ import annotations

from telemetry.monitoring.port.watchdog import Activity, Suspicion


def test_only_waiting_messages_and_no_movement_at_all_are_a_stall() -> None:
    activities = [Activity(5, 7, 0)] * 3
    suspicion = Suspicion()
    assert [suspicion.stalled_s(activity, now) for now, activity in enumerate(activities)] == [0, 0, 1]
    assert suspicion.stalled_s(Activity(5, 8, 0), 3) == 0
    assert [suspicion.stalled_s(Activity(5, 8, 0), now) for now in (4, 9)] == [0, 5]


def test_work_or_an_empty_queue_clears_the_suspicion() -> None:
    for healthy in (Activity(5, 7, 1), Activity(0, 7, 0)):
        suspicion = Suspicion()
        for now in range(3):
            suspicion.stalled_s(Activity(5, 7, 0), now)
        assert suspicion.stalled_s(healthy, 3) == 0
        assert suspicion.stalled_s(Activity(5, 7, 0), 4) == 0

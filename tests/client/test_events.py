"""Server-sent events."""

from __future__ import annotations

from telemetry.client.events import events


def test_events_have_names_and_data() -> None:
    lines = [
        "retry: 2000",
        "",
        "id: 1",
        "event: reading",
        'data: {"a": 1}',
        "",
        ":",
        "",
        "event: health",
        "data: x",
        "data: y",
        "",
    ]
    assert list(events(lines)) == [("reading", '{"a": 1}'), ("health", "x\ny")]


def test_half_an_event_is_none() -> None:
    assert list(events(["event: reading", "data: 1"])) == []
    assert list(events(["data:1", "", "event: reading", ""])) == [("message", "1")]

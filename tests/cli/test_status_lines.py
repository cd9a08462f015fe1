"""What `telemetry status` prints of a document: what is wrong first, and what is well as a number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from telemetry.cli.source_line import Standing, source_line, standing
from telemetry.cli.status_lines import SHOWN, WARNING, Line, lines

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
QUIET = {
    "edge": "a/n",
    "path": "/d/a.csv",
    "foreign": False,
    "replayed": False,
    "replayed_ratio": None,
    "growing": False,
    "miss": "",
    "unread_lines": 0,
    "series_column": "",
    "size": 27_160_985,
    "committed": 27_160_985,
    "lag_bytes": 0,
    "in_flight": 0,
    "dead_letters": 0,
    "quarantined": 0,
    "conflicts": 0,
    "expired": 0,
    "safe_to_delete": True,
}
GROWING = {**QUIET, "growing": True, "safe_to_delete": False}
EDGE = {"edge": "a/n", "sources": 1, "lag_bytes": 0, "in_flight": 0, "dead_letters": 0}
EDGE |= {"workers": ["streamer@h"], "last_seen": "2026-11-28T11:59:59+00:00", "silent_s": 0.0, "refused_machines": []}
WELL: dict[str, Any] = {
    "parts": {"broker": {"status": "ok", "warnings": []}, "database": {"status": "ok", "warnings": []}},
    "queue": {"waiting": 0, "unacked": 0},
    "queues": {},
    "sources": [],
    "flow": [],
    "gaps": [],
    "retention": [],
    "lost": [],
    "last_commit_age_s": None,
    "edges": [EDGE],
    "dead_letters": 0,
    "workers": ["collector@h", "streamer@h"],
}


def source(**more: Any) -> dict[str, Any]:
    return {**QUIET, **more}


def shown(everything: bool = False, **more: Any) -> list[str]:
    return [line.text for line in lines({**WELL, **more}, NOW, everything=everything)]


def coloured(**more: Any) -> list[tuple[str, str]]:
    return [(line.text.split()[0], line.colour) for line in lines({**WELL, **more}, NOW, everything=False) if line.colour]


def test_what_is_well_has_no_colour_and_quiet_sources_are_a_number() -> None:
    many = [source(path=f"/d/{number}.csv") for number in range(2391)]
    assert shown(sources=many)[-1] == "sources   2,391 committed and quiet, 2,391 safe to delete; --all shows them"
    assert len(shown(everything=True, sources=many)) == len(shown()) + 2391
    assert coloured(sources=many) == []


def test_what_is_wrong_comes_first_and_is_coloured() -> None:
    wrong: dict[str, Any] = {
        "parts": {
            "broker": {"status": "ok", "warnings": ["maxmemory-policy of the broker is allkeys-lru"]},
            "database": {"status": "no answer", "fault": "cannot reach the database", "mend": "see whether it runs"},
        },
        "sources": [source(quarantined=3), source(), source(foreign=True, safe_to_delete=False), GROWING],
        "gaps": [{"edge": "a/n", "path": "/d/a.csv", "start": 1, "end": 2000, "since": "2026-11-28T11:57:00+00:00"}],
        "edges": [EDGE, {**EDGE, "edge": "b/n", "silent_s": 200.0, "last_seen": "2026-11-28T11:56:00+00:00"}],
        "dead_letters": 2,
    }
    text = shown(**wrong)
    order = ("WARNING", "NO ANSWER", "GAP", "2 letters", "SILENT", "FOREIGN", "3 in quarantine", "workers", "growing", "quiet")
    places = [next(place for place, line in enumerate(text) if word in line) for word in order]
    assert places == sorted(places)
    assert "bytes 1 to 2,000 are missing since 2026-11-28T11:57:00+00:00 (3 min ago)" in text[places[2]]
    assert coloured(**wrong) == [
        *(("broker", "yellow"), ("database", "red"), ("database", "red"), ("GAP", "red"), ("dead", "red"), ("edge", "red")),
        *(("source", "red"), ("source", "yellow")),
    ]


def test_many_of_a_kind_are_cut_unless_all_are_asked_for() -> None:
    foreign = [source(foreign=True, path=f"/d/{number}.csv") for number in range(SHOWN + 5)]
    assert "source    … and 5 more; --all shows them" in shown(sources=foreign)
    assert sum("FOREIGN" in line for line in shown(sources=foreign)) == SHOWN
    assert sum("FOREIGN" in line for line in shown(everything=True, sources=foreign)) == SHOWN + 5


@pytest.mark.parametrize(
    ("more", "line", "colour"),
    [
        ({}, "edge      a/n: 1 source, 0 bytes behind", None),
        ({"silent_s": None, "last_seen": None, "sources": 2}, "edge      a/n: 2 sources, 0 bytes behind", None),
        (
            {"silent_s": 181.0, "last_seen": "2026-11-28T11:56:00+00:00"},
            "edge      a/n: 1 source, 0 bytes behind  SILENT for 3 min, last seen 4 min ago",
            "red",
        ),
        # A streamer of the version before does not say when it was there.
        ({"silent_s": 5.0, "last_seen": None}, "edge      a/n: 1 source, 0 bytes behind  SILENT for 5 s", "red"),
        (
            {"refused_machines": ["clone"]},
            "MACHINE   a/n: clone is called so too, and reads nothing: give it a TELEMETRY_EDGE of its own",
            "red",
        ),
        # By then it counts as removed.
        ({"silent_s": 260_000.0, "last_seen": None}, "edge      a/n: 1 source, 0 bytes behind  SILENT for 3 days", None),
    ],
)
def test_what_is_wrong_with_an_edge_is_told(more: dict[str, Any], line: str, colour: str | None) -> None:
    assert (line, colour) in [tuple(one) for one in lines({**WELL, "edges": [{**EDGE, **more}]}, NOW, everything=False)]


def test_the_last_commit_is_told_where_nothing_flows() -> None:
    assert "flow      nothing committed in the last minute" in shown()
    assert "flow      nothing committed in the last minute; the last commit was 3 min ago" in shown(last_commit_age_s=190.0)


def test_workers_are_shown_with_their_edge() -> None:
    assert "workers   collector@h, streamer@h (a/n)" in shown()


@pytest.mark.parametrize(
    ("more", "place", "text"),
    [
        ({}, Standing.QUIET, "27 MB of 27 MB committed  safe to delete"),
        ({"growing": True, "safe_to_delete": False}, Standing.BUSY, "27 MB of 27 MB committed  growing"),
        (
            {"committed": 0, "lag_bytes": 27_160_985, "in_flight": 1, "safe_to_delete": False},
            Standing.BUSY,
            "0 bytes of 27 MB committed, 27 MB behind, 1 batch in flight",
        ),
        (
            {"replayed": True, "replayed_ratio": 0.16, "lag_bytes": 9, "in_flight": 2},
            Standing.BUSY,
            "27 MB of 27 MB committed, 2 batches in flight  replaying, 16%",
        ),
        (
            {"quarantined": 3, "conflicts": 1200},
            Standing.LOOK,
            "27 MB of 27 MB committed  safe to delete, 3 in quarantine, 1,200 in conflict",
        ),
        (
            # Its first line went to quarantine, so the edge counts it as committed.
            {"foreign": True, "miss": "it is UTF-16; save it as UTF-8", "committed": 55},
            Standing.BAD,
            "27 MB, none of it read  FOREIGN: it is UTF-16; save it as UTF-8",
        ),
        ({"dead_letters": 1}, Standing.BAD, "27 MB of 27 MB committed  1 DEAD letter"),
    ],
)
def test_the_line_of_a_source(more: dict[str, Any], place: Standing, text: str) -> None:
    assert source_line(source(**more)) == f"source    a/n /d/a.csv: {text}"
    assert standing(source(**more)) == place


def test_levels_that_are_not_kept_for_ever_are_told_and_a_chore_that_stalls() -> None:
    level = {"level": "samples", "kept_since": "2026-10-29T00:00:00+00:00", "days": 30, "done_at": NOW.isoformat()}
    late = {**level, "level": "events", "kept_since": None, "done_at": None}
    shown = lines({**WELL, "retention": [level, late, {**level, "level": "quarantine", "days": None}]}, NOW, everything=False)
    assert [line for line in shown if line.text.startswith("retention")] == [
        Line("retention samples: kept since 2026-10-29, 30 days by the setting", None),
        Line("retention events: kept all so far, 30 days by the setting; it never came to its end", WARNING),
    ]


def test_several_brokers_show_what_waits_at_each() -> None:
    queues = {"north": {"waiting": 1200, "unacked": 3, "edges": 1}, "south": {"waiting": 0, "unacked": 0, "edges": 0}}
    text = shown(queues=queues)
    assert "queue     broker north: 1,200 waiting, 3 being worked on, 1 edge" in text
    assert "queue     broker south: 0 waiting, 0 being worked on, 0 edges" in text

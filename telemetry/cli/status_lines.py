"""The document of `telemetry status` as lines for people: what is wrong first, and what is well as a number. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from telemetry.cli.quantities import counted, duration, size
from telemetry.cli.source_line import Standing, source_line, standing

# As many lines of one kind are shown unless all are asked for.
SHOWN = 20
# An edge that is silent for longer counts as removed, as in the alert EdgeSilent.
REMOVED_S = 172_800
# As in the alert RetentionStalled.
RETENTION_LATE_S = 21_600
BAD, WARNING = "red", "yellow"
COLOURS = {Standing.BAD: BAD, Standing.LOOK: WARNING}


class Line(NamedTuple):
    """A line, and its colour if it has one."""

    text: str
    colour: str | None = None


def lines(document: Mapping[str, Any], now: datetime, *, everything: bool) -> list[Line]:
    """The lines. `now` is the time from which ages are counted."""
    limit = None if everything else SHOWN
    silent, others = _edges(document["edges"] or [], now)
    sources = sorted(document["sources"] or [], key=lambda source: (standing(source), -source["lag_bytes"]))
    by_standing = {kind: [source for source in sources if standing(source) == kind] for kind in Standing}
    return [
        *_parts(document["parts"]),
        *_capped(_gaps(document["gaps"] or [], now), limit),
        *_capped(_lost(document["lost"] or [], now), limit),
        *_dead_letters(document["dead_letters"]),
        *_capped(silent, limit),
        *(line for kind in COLOURS for line in _capped(_sources(by_standing[kind]), limit)),
        *_centre(document),
        *_retention(document["retention"] or [], now),
        *_capped(others, limit),
        *_capped(_flow(document["flow"], document["last_commit_age_s"]), limit),
        *_capped(_sources(by_standing[Standing.BUSY]), limit),
        *(_sources(by_standing[Standing.QUIET]) if everything else _quiet(by_standing[Standing.QUIET])),
    ]


def _capped(some: Sequence[Line], limit: int | None) -> list[Line]:
    if limit is None or len(some) <= limit:
        return list(some)
    head = some[0].text.partition(" ")[0]
    return [*some[:limit], Line(f"{head:<9} … and {len(some) - limit:,} more; --all shows them", some[limit].colour)]


def _parts(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    for name, part in parts.items():
        if "fault" in part:
            yield Line(f"{name:<9} NO ANSWER: {part['fault']}", BAD)
            yield Line(f"{name:<9} {part['mend']}", BAD)
        else:
            yield Line(f"{name:<9} ok")
            yield from (Line(f"{name:<9} WARNING: {text}", WARNING) for text in part["warnings"])


def _gaps(gaps: Iterable[Mapping[str, Any]], now: datetime) -> list[Line]:
    return [
        Line(
            f"GAP       {gap['edge']} {gap['path']}: bytes {gap['start']:,} to {gap['end']:,} are missing since {gap['since']} "
            f"({_ago(gap['since'], now)})",
            BAD,
        )
        for gap in gaps
    ]


def _lost(lost: Iterable[Mapping[str, Any]], now: datetime) -> list[Line]:
    return [
        Line(
            f"LOST      {loss['edge']} {loss['path']}: bytes {loss['start']:,} to {loss['end']:,} were not committed, "
            f"and {loss['reason']}; recorded at {loss['at']} ({_ago(loss['at'], now)})",
            BAD,
        )
        for loss in lost
    ]


def _dead_letters(number: int | None) -> Iterator[Line]:
    if number is not None:
        more = ": see telemetry deadletter list" if number else ""
        yield Line(f"dead      {counted(number, 'letter')}{more}", BAD if number else None)


def _edges(edges: Iterable[Mapping[str, Any]], now: datetime) -> tuple[list[Line], list[Line]]:
    """What is wrong with edges, and the others, which include those that count as removed."""
    silent, others = [], []
    for edge in edges:
        for machine in edge["refused_machines"]:
            text = (
                f"MACHINE   {edge['edge']}: {machine} is called so too, and reads nothing: give it a TELEMETRY_EDGE of its own"
            )
            silent.append(Line(text, BAD))
        text = f"edge      {edge['edge']}: {counted(edge['sources'], 'source')}, {size(edge['lag_bytes'])} behind"
        silent_s = edge["silent_s"] or 0
        if not silent_s:
            others.append(Line(text))
            continue
        seen = f", last seen {_ago(edge['last_seen'], now)}" if edge["last_seen"] else ""
        text = f"{text}  SILENT for {duration(silent_s)}{seen}"
        if silent_s < REMOVED_S:
            silent.append(Line(text, BAD))
        else:
            others.append(Line(text))
    return silent, others


def _centre(document: Mapping[str, Any]) -> Iterator[Line]:
    if document["workers"] is not None:
        edges = {worker: edge["edge"] for edge in document["edges"] or [] for worker in edge["workers"] or []}
        names = [f"{name} ({edges[name]})" if name in edges else name for name in document["workers"]]
        yield Line(f"workers   {', '.join(names) or 'none answer'}", None if names else WARNING)
    if document["queue"] is not None:
        yield Line(f"queue     {_waiting(document['queue'])}")
    for name, queue in document["queues"].items():
        yield Line(f"queue     broker {name}: {_waiting(queue)}, {counted(queue['edges'], 'edge')}")


def _waiting(queue: Mapping[str, int]) -> str:
    return f"{queue['waiting']:,} waiting, {queue['unacked']:,} being worked on"


def _retention(levels: Iterable[Mapping[str, Any]], now: datetime) -> Iterator[Line]:
    """The levels that are not kept for ever. One whose chore has not come to its end for long is a warning."""
    for level in levels:
        if not level["days"]:
            continue
        kept = f"since {level['kept_since'][:10]}" if level["kept_since"] else "all so far"
        done_s = (now - datetime.fromisoformat(level["done_at"])).total_seconds() if level["done_at"] else None
        is_late = done_s is None or done_s > RETENTION_LATE_S
        done = "never came to its end" if done_s is None else f"came to its end {duration(done_s)} ago"
        text = f"retention {level['level']}: kept {kept}, {counted(level['days'], 'day')} by the setting"
        yield Line(f"{text}{f'; it {done}' if is_late else ''}", WARNING if is_late else None)


def _flow(flows: Sequence[Mapping[str, Any]] | None, last_commit_age_s: float | None) -> list[Line]:
    if flows == []:
        last = "" if last_commit_age_s is None else f"; the last commit was {duration(last_commit_age_s)} ago"
        return [Line(f"flow      nothing committed in the last minute{last}")]
    return [
        Line(
            f"flow      {flow['edge']}: {flow['rows_per_s']:,} rows/s in the last minute, "
            f"{1000 * flow['latency_s']:.0f} ms from publish to commit (median)"
            f"{', ' + counted(flow['dead'], 'batch', 'batches') + ' DEAD' if flow['dead'] else ''}",
            BAD if flow["dead"] else None,
        )
        for flow in flows or []
    ]


def _sources(sources: Iterable[Mapping[str, Any]]) -> list[Line]:
    return [Line(source_line(source), COLOURS.get(standing(source))) for source in sources]


def _quiet(sources: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    if sources:
        safe = sum(source["safe_to_delete"] for source in sources)
        them = "it" if len(sources) == 1 else "them"
        yield Line(f"sources   {len(sources):,} committed and quiet, {safe:,} safe to delete; --all shows {them}")


def _ago(time: str, now: datetime) -> str:
    return f"{duration((now - datetime.fromisoformat(time)).total_seconds())} ago"

"""`telemetry status`: one look at the whole system. Asks Redis and Postgres, and the workers for a sign of life."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import redis
from msgspec import structs

from telemetry import broker
from telemetry.celery import make_app
from telemetry.cli.database import database
from telemetry.cli.parts import Part, ask
from telemetry.cli.session import connected, data_dir_option, json_option, load_settings
from telemetry.progress import losses, reading
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Loss
from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.store import deadletters
from telemetry.store.read import rates
from telemetry.store.read.gaps import Committed, Lost, gaps
from telemetry.store.read.second_looks import SecondLook, second_looks

Letters = dict[tuple[str | None, str | None], int]
States = dict[str, dict[str, SourceState]]

FLOW_S = 60
PING_S = 0.5
NOTHING = SecondLook(0, 0)
LOOKS = {"quarantined": "in quarantine", "conflicts": "in conflict"}


@click.command()
@json_option
@data_dir_option
def status(as_json: bool, data_dir: Path | None) -> None:
    """Show edges, sources (offset, lag, whether the file may be deleted), queue, workers, rates and dead letters.

    A file is safe to delete when all of it is committed, none of it is a gap or in a dead letter, and it has not changed for
    a while (TELEMETRY_CLOSE_AFTER_S). What needs a look stands beside it. One that is replayed or foreign never is safe.

    A part that does not answer within 2 s is named, and what the others know is shown; the exit code is then 1.
    """
    settings = load_settings(data_dir)
    # Asked before the ledger, so that a batch committed in between does not seem to be missing there.
    progress = ask("broker", lambda: _progress(settings))
    ledger = ask("database", lambda: _ledger(settings, progress.answer))
    workers = ask("broker", lambda: sorted(_workers(settings))) if progress.answer else None
    report = _report(progress, ledger)
    report["workers"] = workers.answer if workers else None
    click.echo(json.dumps(report) if as_json else _text(report))
    faults = [part.fault for part in (progress, ledger, workers) if part and part.fault]
    if faults:
        raise click.ClickException("; ".join(faults))


@dataclass(frozen=True)
class Progress:
    """What the broker knows."""

    states: States
    lost: list[Loss]
    queue: dict[str, int]
    growing: set[tuple[str, str]]


@dataclass(frozen=True)
class Ledger:
    """What the database knows. Without the broker's states nobody can tell gaps, and they are None."""

    flow: list[dict[str, Any]]
    letters: Letters
    looks: dict[tuple[str, str], SecondLook]
    gaps: list[dict[str, Any]] | None
    gapped: set[tuple[str, str]] | None


def _progress(settings: Settings) -> Progress:
    keys = Keys(settings.key_prefix)
    with connected(settings, retries=0) as client:
        states, lost = reading.sources_by_edge(client, keys), losses.of_all_edges(client, keys)
        now_us = broker.now_us(client)
        growing = {
            (edge, source_id)
            for edge, of_edge in states.items()
            for source_id, state in of_edge.items()
            if state.is_growing(now_us, settings.close_after_s)
        }
        return Progress(states, lost, _queue(client, settings), growing)


def _ledger(settings: Settings, progress: Progress | None) -> Ledger:
    with database(settings, "status") as engine, engine.connect() as connection:
        flow = [asdict(edge) for edge in rates.flow(connection, FLOW_S)]
        letters, looks = deadletters.counted(connection), second_looks(connection)
        if progress is None:
            return Ledger(flow, letters, looks, None, None)
        held = [Committed(*committed) for committed in reading.committed(progress.states)]
        no_gaps = [Lost(loss.edge, loss.lost.fingerprint, loss.lost.start, loss.lost.end) for loss in progress.lost]
        old_gaps = [
            {**asdict(gap), "since": gap.since.isoformat()} for gap in gaps(connection, settings.gap_alert_s, held, no_gaps)
        ]
        # A young one may close yet; until it has, the file is needed.
        gapped = {(gap.edge, gap.fingerprint) for gap in gaps(connection, 0, held, no_gaps)}
        return Ledger(flow, letters, looks, old_gaps, gapped)


def _report(edges: Part[Progress], central: Part[Ledger]) -> dict[str, Any]:
    """The answers as one document. What only a silent part knows is None, which is not the same as empty."""
    progress, ledger = edges.answer, central.answer
    letters = ledger.letters if ledger else {}
    sources = _sources(progress, ledger) if progress else None
    of_edge = {
        name: [source for source in sources or [] if source["edge"] == name] for name in (progress.states if progress else ())
    }
    return {
        "parts": {"broker": _part(edges.fault), "database": _part(central.fault)},
        "queue": progress.queue if progress else None,
        "sources": sources,
        "flow": ledger.flow if ledger else None,
        "gaps": ledger.gaps if ledger else None,
        "lost": [_lost(loss) for loss in progress.lost] if progress else None,
        "edges": [_edge(name, rows, letters) for name, rows in of_edge.items()] if progress else None,
        "dead_letters": sum(letters.values()) if ledger else None,
    }


def _part(fault: str | None) -> dict[str, str]:
    return {"status": "no answer", "fault": fault} if fault else {"status": "ok"}


def _queue(client: redis.Redis, settings: Settings) -> dict[str, int]:
    unacked = Keys(settings.key_prefix).unacked("central")
    return {"waiting": int(client.llen(settings.ingest_queue)), "unacked": int(client.hlen(unacked))}


def _sources(progress: Progress, ledger: Ledger | None) -> list[dict[str, Any]]:
    return [
        _source(edge, state, ledger, is_growing=(edge, source_id) in progress.growing)
        for edge, of_edge in progress.states.items()
        for source_id, state in of_edge.items()
    ]


def _source(edge: str, state: SourceState, ledger: Ledger | None, *, is_growing: bool) -> dict[str, Any]:
    content, is_replayed = (edge, state.fingerprint), state.anchor_us is not None
    dead = ledger.letters.get(content, 0) if ledger else 0
    look = ledger.looks.get(content, NOTHING) if ledger else NOTHING
    # Without the ledger nobody knows of gaps and dead letters, so nothing is safe.
    is_needed = ledger is None or ledger.gapped is None or dead or content in ledger.gapped
    return {
        "edge": edge,
        "path": state.shown_path,
        "foreign": state.foreign,
        "miss": state.miss,
        "unread_lines": state.unread_lines,
        "series_column": state.series_column,
        "replayed": is_replayed,
        "replayed_ratio": state.replayed_ratio,
        "growing": is_growing,
        "size": state.size_bytes,
        "committed": state.window.committed,
        "lag_bytes": state.lag_bytes,
        "in_flight": len(state.window.flights),
        "dead_letters": dead,
        "quarantined": look.quarantined,
        "conflicts": look.conflicts,
        "safe_to_delete": state.all_committed and not (is_needed or is_replayed or is_growing),
    }


def _edge(name: str, sources: list[dict[str, Any]], letters: Letters) -> dict[str, Any]:
    in_flight = sum(source["in_flight"] for source in sources)
    # A replay is never read to its end: what lies ahead of it is not behind.
    lag_bytes = sum(source["lag_bytes"] for source in sources if not source["replayed"])
    # Not by its sources: those of one fingerprint show the same letters.
    dead = sum(number for (edge, _), number in letters.items() if edge == name)
    return {"edge": name, "sources": len(sources), "lag_bytes": lag_bytes, "in_flight": in_flight, "dead_letters": dead}


def _lost(loss: Loss) -> dict[str, Any]:
    at = datetime.fromtimestamp(loss.recorded_s, UTC).isoformat(timespec="seconds")
    return {"edge": loss.edge, **structs.asdict(loss.lost), "at": at}


def _workers(settings: Settings) -> list[str]:
    app = make_app(settings)
    try:
        return [name for reply in app.control.ping(timeout=PING_S) or [] for name in reply]
    finally:
        app.close()


def _text(report: dict[str, Any]) -> str:
    queue, workers, dead = report["queue"], report["workers"], report["dead_letters"]
    lines = [
        f"{name:<9} {'NO ANSWER: ' + part['fault'] if 'fault' in part else 'ok'}" for name, part in report["parts"].items()
    ]
    if workers is not None:
        lines.append(f"workers   {', '.join(workers) or 'none answer'}")
    if queue is not None:
        lines.append(f"queue     {queue['waiting']} waiting, {queue['unacked']} being worked on")
    if dead is not None:
        lines.append(f"dead      {dead:,} letters{': see telemetry deadletter list' if dead else ''}")
    lines += [
        f"edge      {edge['edge']}: {edge['sources']:,} sources, {edge['lag_bytes']:,} bytes behind"
        for edge in report["edges"] or []
    ]
    lines += [
        f"flow      {flow['edge']}: {flow['rows_per_s']:,} rows/s in the last minute, "
        f"{1000 * flow['latency_s']:.0f} ms from publish to commit (median)"
        f"{', {} batches DEAD'.format(flow['dead']) if flow['dead'] else ''}"
        for flow in report["flow"] or []
    ]
    lines += [
        f"source    {source['edge']} {source['path']}: {source['committed']:,} of {source['size']:,} bytes committed, "
        f"{source['lag_bytes']:,} behind, {source['in_flight']} batches in flight{_remark(source)}"
        for source in report["sources"] or []
    ]
    lines += [
        f"GAP       {gap['edge']} {gap['path']}: bytes {gap['start']:,} to {gap['end']:,} are missing since {gap['since']}"
        for gap in report["gaps"] or []
    ]
    lines += [
        f"LOST      {lost['edge']} {lost['path']}: bytes {lost['start']:,} to {lost['end']:,} were not committed, "
        f"and {lost['reason']}; recorded at {lost['at']}"
        for lost in report["lost"] or []
    ]
    if report["flow"] == []:
        lines.append("flow      nothing committed in the last minute")
    return "\n".join(lines)


def _remark(source: dict[str, Any]) -> str:
    if source["foreign"]:
        return f"  FOREIGN: {source['miss'] or 'no format knows its header'}"
    if source["unread_lines"]:
        return f"  {source['unread_lines']:,} lines UNREAD: no format knows the header above them"
    if source["dead_letters"]:
        return f"  {source['dead_letters']:,} DEAD letters"
    if source["replayed"]:
        return f"  replaying, {source['replayed_ratio']:.0%}"
    words = ["safe to delete"] if source["safe_to_delete"] else ["growing"] if source["growing"] else []
    words += [f"{source[count]:,} {text}" for count, text in LOOKS.items() if source[count]]
    if source["series_column"]:
        words.append(f"column {source['series_column']} makes a new series of nearly each record")
    return f"  {', '.join(words)}" if words else ""

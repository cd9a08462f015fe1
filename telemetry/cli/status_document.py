"""What the parts have answered, as the one document of `telemetry status --json`.

What only a silent part knows is None in it, which is not the same as empty. How it is shown to people is `status_lines`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from telemetry.cli.mends import mend
from telemetry.cli.overview import Ledger, Overview, Progress, Workers
from telemetry.progress.losses import Loss
from telemetry.progress.signs import Sign
from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.store.read.gaps import Gap
from telemetry.store.read.second_looks import Letters, SecondLook

NOTHING = SecondLook(0, 0)


def document(seen: Overview, settings: Settings) -> dict[str, Any]:
    """The document. A part that did not answer has a `fault` in its `parts`, and a `mend`."""
    edges, centre, workers = seen.progress, seen.ledger.answer, seen.living
    sources = _sources(edges, centre, settings.close_after_s) if edges else None
    return {
        "parts": {
            **{
                f"broker {name}".rstrip(): _part("broker", part.fault or seen.workers[name].fault, part.answer, settings)
                for name, part in seen.brokers.items()
            },
            "database": _part("database", seen.ledger.fault, centre, settings),
        },
        "queue": edges.queue if edges else None,
        "queues": seen.queues,
        "sources": sources,
        "flow": [asdict(flow) for flow in centre.flow] if centre else None,
        "last_commit_age_s": centre.last_commit_age_s if centre else None,
        "gaps": [_gap(gap) for gap in centre.gaps if gap.is_old] if centre and centre.gaps is not None else None,
        "retention": [level.document() for level in centre.retention] if centre else None,
        "lost": [_lost(loss) for loss in edges.lost] if edges else None,
        "edges": _edges(edges, sources or [], centre.letters if centre else {}, workers) if edges else None,
        "dead_letters": sum(centre.letters.values()) if centre else None,
        "workers": sorted(workers) if workers is not None else None,
    }


def _part(name: str, fault: str | None, answer: Progress | Ledger | None, settings: Settings) -> dict[str, Any]:
    if fault:
        return {"status": "no answer", "fault": fault, "mend": mend(name, settings)}
    return {"status": "ok", "warnings": answer.warnings if answer else []}


def _sources(progress: Progress, ledger: Ledger | None, close_after_s: float) -> list[dict[str, Any]]:
    gapped = {(gap.edge, gap.fingerprint) for gap in ledger.gaps} if ledger and ledger.gaps is not None else None
    return [
        _source(edge, state, ledger, gapped, is_growing=state.is_growing(progress.clocks[edge], close_after_s))
        for edge, of_edge in progress.states.items()
        for state in of_edge.values()
    ]


def _source(
    edge: str, state: SourceState, ledger: Ledger | None, gapped: set[tuple[str, str]] | None, *, is_growing: bool
) -> dict[str, Any]:
    content, is_replayed = (edge, state.fingerprint), state.anchor_us is not None
    dead = ledger.letters.get(content, 0) if ledger else 0
    look = ledger.looks.get(content, NOTHING) if ledger else NOTHING
    # Without the ledger nobody knows of gaps and dead letters, so nothing is safe. A young gap may close; until then it counts.
    is_needed = gapped is None or dead or content in gapped
    return {
        "edge": edge,
        "path": state.shown_path,
        "format": state.format_name,
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
        "rows_per_s": ledger.rates.get(content, 0.0) if ledger else None,
        "dead_letters": dead,
        "quarantined": look.quarantined,
        "conflicts": look.conflicts,
        "expired": look.expired,
        "safe_to_delete": state.all_committed and not (is_needed or is_replayed or is_growing or look.expired),
    }


def _edges(
    progress: Progress, sources: Iterable[Mapping[str, Any]], letters: Letters, workers: Workers | None
) -> list[dict[str, Any]]:
    of_edge: dict[str, list[Mapping[str, Any]]] = {
        name: [] for name in sorted({*progress.states, *progress.signs, *filter(None, (workers or {}).values())})
    }
    for source in sources:
        of_edge[source["edge"]].append(source)
    return [
        {
            "edge": name,
            "sources": len(rows),
            # A replay is never read to its end: what lies ahead of it is not behind.
            "lag_bytes": sum(source["lag_bytes"] for source in rows if not source["replayed"]),
            "in_flight": sum(source["in_flight"] for source in rows),
            # Not by its sources: those of one fingerprint show the same letters.
            "dead_letters": sum(number for (edge, _), number in letters.items() if edge == name),
            "workers": None if workers is None else sorted(worker for worker, edge in workers.items() if edge == name),
            **_sign(progress.signs.get(name), progress.clocks.get(name, 0)),
            "refused_machines": progress.second_machines.get(name, []),
        }
        for name, rows in of_edge.items()
    ]


def _sign(sign: Sign | None, now_us: int) -> dict[str, Any]:
    """Both are None of an edge that does not stream for good, such as one of `telemetry ingest`."""
    seen_ms = sign.seen_ms if sign else None
    return {
        "last_seen": _utc(seen_ms / 1000) if seen_ms is not None else None,
        "silent_s": round(sign.silent_s(now_us), 1) if sign else None,
    }


def _gap(gap: Gap) -> dict[str, Any]:
    shown = {**asdict(gap), "since": gap.since.isoformat()}
    del shown["is_old"]
    return shown


def _lost(loss: Loss) -> dict[str, Any]:
    return {"edge": loss.edge, **structs.asdict(loss.lost), "at": _utc(loss.recorded_s)}


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

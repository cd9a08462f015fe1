"""The table of `telemetry deploy status`: a line for each site, and below it one for each of its edges. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from telemetry.cli.quantities import duration, size
from telemetry.cli.status_lines import BAD, WARNING, Line
from telemetry.deploy.centre import Centre, EdgeState
from telemetry.deploy.overview import Overview, SiteState

HEADINGS = (
    *("ROLE", "CONTEXT", "NAME", "STATE", "CHART", "REV", "NODES", "RESTARTS"),
    *("QUEUE", "ROWS/S", "LATENCY", "LAG", "SILENT", "READY"),
)
NOTHING = "-"


def lines(overview: Overview) -> Iterator[Line]:
    """The table, and below it why the centre says nothing of edges."""
    rows: list[tuple[tuple[str, ...], str | None]] = [(HEADINGS, None)]
    for each in overview.sites:
        rows.append((_site(each, overview.centre), None if each.is_up else BAD))
        rows += [(_edge(each, name, edge), BAD if edge is None or edge.silent_s else None) for name, edge in each.edges.items()]
    widths = [max(len(row[column]) for row, _ in rows) for column in range(len(HEADINGS) - 1)]
    for row, colour in rows:
        text = "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        yield Line(text.rstrip(), colour)
    if overview.fault:
        yield Line(f"of edges nothing is known: {overview.fault}", WARNING)


def _site(each: SiteState, known: Centre | None) -> tuple[str, ...]:
    site, release = each.site, each.release or {}
    ready = each.fault or ", ".join(map(str, each.states)) or NOTHING
    state = "unknown" if each.fault else str(release.get("status", "not installed"))
    nodes = {pod.node for pod in each.pods if pod.node}
    queue = str(known.waiting + known.unacked) if known and site.role == "central" else NOTHING
    return (
        *(site.role, site.context, site.release, state),
        *(str(release.get("chart", NOTHING)), str(release.get("revision", NOTHING))),
        *(str(len(nodes)) if nodes else NOTHING, str(sum(pod.restarts for pod in each.pods)) if each.pods else NOTHING),
        *(queue, NOTHING, NOTHING, NOTHING, NOTHING),
        " ".join(ready.split()),
    )


def _edge(each: SiteState, name: str, edge: EdgeState | None) -> tuple[str, ...]:
    """Of an edge: where its pod runs, and what the centre knows."""
    of_edge = [pod for pod in each.pods if pod.edge == name]
    where = ",".join(sorted({pod.node for pod in of_edge if pod.node})) or NOTHING
    restarts = str(sum(pod.restarts for pod in of_edge)) if of_edge else NOTHING
    placed = ("", "", name, _state(edge), NOTHING, NOTHING, where, restarts, NOTHING)
    if edge is None:
        return (*placed, NOTHING, NOTHING, NOTHING, NOTHING, "")
    rows = NOTHING if edge.rows_per_s is None else f"{edge.rows_per_s:,.0f}"
    latency = NOTHING if edge.latency_s is None else f"{edge.latency_s:.2f} s"
    silent = duration(edge.silent_s) if edge.silent_s else NOTHING
    return (*placed, rows, latency, size(edge.lag_bytes), silent, "")


def _state(edge: EdgeState | None) -> str:
    if edge is None:
        return "never heard of"
    return "SILENT" if edge.silent_s else "streams" if edge.silent_s is not None else "unknown"

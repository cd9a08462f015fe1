"""What the centre knows of edges: `telemetry status` says it in one of its pods, so that no password leaves the cluster."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from telemetry.deploy import pods
from telemetry.deploy.cluster import Cluster, ClusterError

STATUS = ("telemetry", "status", "--json")
# A process has to start in a pod that may have little of a CPU.
ASK_S = 60.0


@dataclass(frozen=True, slots=True)
class EdgeState:
    """An edge, as the centre knows it. None stands for what nobody there knows.

    `row_age_s`: how long ago the last commit was that had a reading of it with a value, if that was within a minute.
    """

    sources: int = 0
    foreign: int = 0
    lag_bytes: int = 0
    in_flight: int = 0
    dead_letters: int = 0
    silent_s: float | None = None
    rows_per_s: float | None = None
    latency_s: float | None = None
    row_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Centre:
    """All edges by their names, what waits at the broker, the collectors that answer, and when this was asked.

    The time is monotonic, and of before the question: an age counts back from then or later.
    """

    edges: Mapping[str, EdgeState]
    waiting: int
    unacked: int
    workers: int | None
    asked_s: float
    # Of a version before this one: it does not say when rows came.
    is_old: bool = False


def ask(cluster: Cluster, namespace: str, release: str) -> Centre:
    """Ask. Raises ClusterError where the centre cannot tell."""
    place, asked_s = pods.of_centre(cluster, namespace, release), monotonic()
    ran = cluster.run(namespace, place.pod, place.container, STATUS, ASK_S)
    # A part that does not answer makes it end with 1, and what the others know stands in the document.
    try:
        document = json.loads(ran.out)
    except ValueError:
        raise ClusterError(f"`telemetry status` in {place.pod} says: {_last_line(ran.err or ran.out)}") from None
    return parsed(document, asked_s)


def parsed(document: Mapping[str, Any], asked_s: float) -> Centre:
    """The document of `telemetry status --json`. Pure. Raises ClusterError where broker or database did not answer there."""
    if document["edges"] is None or document["flow"] is None:
        faults = dict.fromkeys(part["fault"] for part in document["parts"].values() if "fault" in part)
        raise ClusterError(f"the centre cannot tell: {'; '.join(faults)}")
    flow = {each["edge"]: each for each in document["flow"]}
    known = {each["edge"]: each for each in document["edges"]}
    foreign = Counter(each["edge"] for each in document["sources"] or [] if each["foreign"])
    workers = document["workers"]
    streamers = {worker for each in known.values() for worker in each["workers"] or []}
    return Centre(
        {name: _edge(known.get(name, {}), flow.get(name, {}), foreign[name]) for name in sorted({*known, *flow})},
        document["queue"]["waiting"],
        document["queue"]["unacked"],
        None if workers is None else len(set(workers) - streamers),
        asked_s,
        is_old=any("row_age_s" not in each for each in document["flow"]),
    )


def _edge(known: Mapping[str, Any], flow: Mapping[str, Any], foreign: int) -> EdgeState:
    return EdgeState(
        sources=known.get("sources", 0),
        foreign=foreign,
        lag_bytes=known.get("lag_bytes", 0),
        in_flight=known.get("in_flight", 0),
        dead_letters=known.get("dead_letters", 0),
        silent_s=known.get("silent_s"),
        rows_per_s=flow.get("rows_per_s", 0.0),
        latency_s=flow.get("latency_s"),
        row_age_s=flow.get("row_age_s"),
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("Error: ") if lines else "nothing"

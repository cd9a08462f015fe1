"""What is said of the rows of an edge that was deployed, by what the centre has told. Pure.

Of an edge that is new any row counts that was committed since its deployment began. Of one that was there before, only those
count that were committed after all its pods were ready in their new version. "Stored" is said for nothing less. When the first
row came is known as exactly as looks follow each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from telemetry.deploy.centre import Centre, EdgeState
from telemetry.deploy.inventory import Site
from telemetry.deploy.pods import Place

# An edge that has nothing to send has had this long to read what is new.
QUIET_S = 20.0
OLD = "the centre runs an older version, which does not say when rows came"


class Arrival(NamedTuple):
    """The verdict on an edge: whether its rows are in the database, after how many seconds the first came, and the mend."""

    site: Site
    edge: str
    is_stored: bool
    says: str
    after_s: float | None = None
    mend: str = ""


@dataclass(slots=True)
class Times:
    """When a site's deployment began, and when its pods were ready, on the monotonic clock. New: nothing was there before."""

    begun_s: float
    is_new: bool
    ready_s: float | None = None

    @property
    def since_s(self) -> float | None:
        """From when on rows count; None while that is not known."""
        return self.begun_s if self.is_new else self.ready_s


@dataclass(slots=True)
class Looked:
    """What the looks so far have shown: when commits of each edge were, the latest look, or why there was none."""

    commits_s: dict[str, list[float]] = field(default_factory=dict)
    latest: Centre | None = None
    fault: str = ""

    def add(self, centre: Centre) -> None:
        """Note a look."""
        self.latest, self.fault = centre, OLD if centre.is_old else ""
        for name, edge in centre.edges.items():
            if edge.row_age_s is not None:
                self.commits_s.setdefault(name, []).append(centre.asked_s - edge.row_age_s)

    def first_s(self, edge: str, since_s: float) -> float | None:
        """When the first row of an edge was seen that was committed since then."""
        return min((at_s for at_s in self.commits_s.get(edge, []) if at_s >= since_s), default=None)


def good(site: Site, place: Place, times: Times, looked: Looked) -> Arrival | None:
    """The good verdict on an edge, None while there is none. Pure."""
    since_s, edge = times.since_s, looked.latest.edges.get(place.edge) if looked.latest else None
    if since_s is None or looked.latest is None or edge is None:
        return None
    first_s = looked.first_s(place.edge, since_s)
    if first_s is not None:
        after_s = max(0.0, first_s - since_s)
        begin = "its deployment began" if times.is_new else "its pods were ready"
        latency = f", {edge.latency_s:.2g} s from publication to commit" if edge.latency_s is not None else ""
        return Arrival(
            site, place.edge, True, f"the first row of {place.edge} is stored, {after_s:.0f} s after {begin}{latency}", after_s
        )
    ready_s = times.ready_s
    was_asked = ready_s is not None and looked.latest.asked_s >= ready_s + QUIET_S
    is_read = edge.sources > edge.foreign and not (edge.lag_bytes or edge.in_flight or edge.dead_letters)
    if was_asked and is_read and edge.silent_s == 0:
        return Arrival(site, place.edge, True, f"{place.edge} has nothing new: all rows of its files were stored before")
    return None


def late(site: Site, place: Place, looked: Looked, first_row_s: float, namespace: str) -> Arrival:
    """The bad verdict on an edge, when its time is up. Pure."""
    if looked.latest is None or looked.fault:
        why = looked.fault or "the centre did not answer"
        return Arrival(
            site, place.edge, False, f"nobody knows whether a row of edge {place.edge} has arrived: {why}", None,
            "mend that; `telemetry deploy status` then says whether rows arrive",
        )  # fmt: skip
    doctor = f"kubectl --context {site.context} -n {namespace} exec {place.pod} -c {place.container} -- telemetry doctor"
    why, mend = explained(looked.latest.edges.get(place.edge), looked.latest, doctor)
    return Arrival(site, place.edge, False, f"no row of edge {place.edge} within {first_row_s:.0f} s: {why}", None, mend)


def explained(edge: EdgeState | None, centre: Centre, doctor: str) -> tuple[str, str]:
    """Why no row came, by what the centre knows, and the mend. Pure."""
    way = f"{doctor} says where the way ends"
    if edge is None:
        return "the broker has never heard of it", way
    reasons = (
        (edge.silent_s, f"it is silent for {edge.silent_s or 0:.0f} s", way),
        (
            not edge.sources,
            "its streamer has found no file",
            "write CSV files to the nodes' directory streamer.files.hostPath, or correct that or streamer.files.patterns",
        ),
        (
            edge.foreign == edge.sources,
            "no format knows its files",
            "`telemetry status` in a pod of the centre says what they are instead",
        ),
        (
            edge.dead_letters,
            f"{edge.dead_letters} of its messages cannot be stored",
            "`telemetry deadletter list` in a pod of the centre says why",
        ),
        (centre.workers == 0, "no collector answers", "look at the logs of the collectors"),
        (
            edge.lag_bytes or edge.in_flight,
            f"{edge.lag_bytes} bytes of its files and {centre.waiting} messages at the broker wait",
            "look at the logs of the collectors, and give them more replicas if they are only slow",
        ),
    )
    nothing = (
        "its files hold no reading with a value",
        "`telemetry quarantine list` in a pod of the centre shows unreadable rows",
    )
    return next(((why, mend) for applies, why, mend in reasons if applies), nothing)


def document(arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """The verdicts for programs."""
    return [
        {
            "context": each.site.context,
            "edge": each.edge,
            "stored": each.is_stored,
            "after_s": None if each.after_s is None else round(each.after_s, 1),
            "says": each.says,
            "mend": each.mend or None,
        }
        for each in arrivals
    ]

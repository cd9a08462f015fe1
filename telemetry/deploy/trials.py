"""Sends a marked batch from each edge, sees that the centre commits it, and removes it again: by `telemetry trial` in pods.

What a run that was cut off has left is removed by the next one, before it sends anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

from telemetry.deploy import pods
from telemetry.deploy.cluster import Cluster, ClusterError
from telemetry.deploy.inventory import Site
from telemetry.deploy.pods import Place
from telemetry.deploy.preflight import Deployment

COMMIT_S = 30
# For processes to start, in pods that may have little of a CPU.
GRACE_S = 60.0
SEND = ("telemetry", "trial", "--json", "--timeout", str(COMMIT_S))
FORGET = ("telemetry", "trial", "--forget", "--json")


class Trial(NamedTuple):
    """What became of the marked batch of an edge. `latency_s` is from publication to commit, where the ledger could tell."""

    site: Site
    edge: str
    is_committed: bool
    says: str
    mend: str = ""
    batch_id: str = ""
    round_trip_s: float | None = None
    latency_s: float | None = None


def run(deployment: Deployment, sites: Sequence[Site]) -> Iterator[Trial]:
    """The trial of each edge of these sites. Raises ClusterError where the centre cannot remove what trials leave."""
    namespace, (home,) = deployment.inventory.namespace, deployment.inventory.of("central")
    forget(deployment, home)
    try:
        places = [(site, place) for site in sites for place in _places(deployment, site)]
        with ThreadPoolExecutor(max_workers=8) as pool:
            done = list(pool.map(lambda each: _one(deployment, each[0], each[1], namespace), places))
    except BaseException:
        with suppress(ClusterError):
            forget(deployment, home)
        raise
    latencies = forget(deployment, home)
    yield from (each._replace(latency_s=latencies.get(each.batch_id)) for each in done)
    seen = {site for site, _ in places}
    for site in sites:
        if site not in seen:
            yield Trial(site, site.name, False, "no streamer of it is ready", "`telemetry deploy status` shows its pods")


def forget(deployment: Deployment, home: Site) -> dict[str, float]:
    """Have the centre remove what trials have left; the batches that the ledger had, with their latencies."""
    cluster = Cluster(home.context, deployment.kubeconfig)
    place = pods.of_centre(cluster, deployment.inventory.namespace, home.release)
    answer = _json(cluster, deployment.inventory.namespace, place, FORGET)
    return {each["batch_id"]: each["latency_s"] for each in answer["removed"]}


def document(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The trials for programs."""
    return [
        {
            "context": each.site.context,
            "edge": each.edge,
            "committed": each.is_committed,
            "round_trip_s": each.round_trip_s,
            "latency_s": each.latency_s,
            "says": each.says,
            "mend": each.mend or None,
        }
        for each in trials
    ]


def _places(deployment: Deployment, site: Site) -> list[Place]:
    cluster = Cluster(site.context, deployment.kubeconfig)
    return pods.of_edges(cluster, deployment.inventory.namespace, site.release)


def _one(deployment: Deployment, site: Site, place: Place, namespace: str) -> Trial:
    doctor = f"kubectl --context {site.context} -n {namespace} exec {place.pod} -c {place.container} -- telemetry doctor"
    try:
        answer = _json(Cluster(site.context, deployment.kubeconfig), namespace, place, SEND)
    except ClusterError as error:
        return Trial(site, place.edge, False, f"no batch could be sent: {error}", f"{doctor} says where the way ends")
    batch_id, took_s = answer["batch_id"], answer["round_trip_s"]
    if answer["status"] == "committed":
        return Trial(site, place.edge, True, f"its marked batch was committed after {took_s:.2f} s", "", batch_id, took_s)
    if answer["status"] == "dead":
        says, mend = "its marked batch cannot be stored", "look at the logs of the collectors, which say why"
    else:
        says = f"its marked batch was not committed within {COMMIT_S} s, and still may be: the next `validate` removes it"
        mend = f"see whether collectors are ready (`telemetry deploy status`); {doctor} says whether the way is open"
    return Trial(site, place.edge, False, says, mend, batch_id)


def _json(cluster: Cluster, namespace: str, place: Place, command: Sequence[str]) -> Any:
    ran = cluster.run(namespace, place.pod, place.container, command, COMMIT_S + GRACE_S)
    try:
        return json.loads(ran.out)
    except ValueError:
        lines = (ran.err or ran.out).strip().splitlines() or [f"it ended with {ran.code}"]
        raise ClusterError(f"`{' '.join(command[:2])}` in {place.pod} says: {lines[-1].removeprefix('Error: ')}") from None

"""Which pods have which GPUs, as the API of their cluster says it: for how long each has had each, up to now or to its end.

Nothing is remembered but what the API held at the last turn. A pod that lives is told of from its start at each turn, so one
turn makes up for those that were missed. One that ended while nobody looked is told of up to the turn before. How far a turn
goes back is bounded, as collectors may have to sum up each hour of it anew.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator

from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, TOLD_BY
from telemetry.record import cluster_objects
from telemetry.record.api_server import AbsentError, ApiServer
from telemetry.record.changes import Changes
from telemetry.record.cluster_objects import Claim, Node, Pod, Slice
from telemetry.record.holders import Cluster, Has, Known
from telemetry.record.taken import Gpu, Taken

log = logging.getLogger(__name__)

DYNAMIC = "/apis/resource.k8s.io"
VERSIONS = ("v1", "v1beta2", "v1beta1")
# How far back a turn tells: at the first look at a pod, and of its end; and at each other look.
MONTH_S, DAY_S = 31 * 86_400, 86_400
# Pods that a line of the log names.
NAMED = 10


class Pods:
    """The pods of a cluster that have GPUs."""

    may_be_empty = True

    def __init__(self, server: ApiServer, now_s: Callable[[], float] = time.time) -> None:
        self.server, self.now_s = server, now_s
        self.pods: Changes[Pod] = Changes(server, "/api/v1/pods", cluster_objects.pod)
        self.nodes: Changes[Node] = Changes(server, "/api/v1/nodes", cluster_objects.node)
        # Claims and the slices of their devices; none where the cluster has no such thing.
        self.dynamic: list[tuple[Changes[Claim], Changes[Slice]]] = []
        # Of living pods what was known at the last turn; and those that ended and are told of, while the API has them.
        self.known: dict[str, tuple[Pod, Known]] = {}
        self.reported_ends: set[str] = set()
        self._looked_s = 0
        self._said: dict[str, str] = {}

    def take(self) -> list[Taken]:
        """All that is known now. Raises SourceError, and then nothing is forgotten."""
        now_s = int(self.now_s())
        # Pods first: a claim that a pod needs is there before the pod starts.
        self.pods.renew()
        self.nodes.renew()
        self._find_claims()
        of_claims, slices = list[Claim](), list[Slice]()
        for claims, devices in self.dynamic:
            claims.renew()
            devices.renew()
            of_claims += (*claims.objects.values(), *claims.gone.values())
            slices += devices.objects.values()
        taken = list(self._taken(Cluster(of_claims, slices, self.nodes.objects.values()), now_s))
        self.pods.gone.clear()
        self.nodes.gone.clear()
        for claims, devices in self.dynamic:
            claims.gone.clear()
            devices.gone.clear()
        self._say()
        return taken

    def close(self) -> None:
        """Nothing is kept open."""

    def _find_claims(self) -> None:
        """A cluster without dynamic resource allocation has no claims; it may get some."""
        if self.dynamic:
            return
        try:
            group = self.server.get(DYNAMIC)
        except AbsentError:
            return
        served = {each["version"] for each in group.get("versions") or []}
        if version := next((each for each in VERSIONS if each in served), ""):
            claims = Changes(self.server, f"{DYNAMIC}/{version}/resourceclaims", cluster_objects.claim)
            self.dynamic.append((claims, Changes(self.server, f"{DYNAMIC}/{version}/resourceslices", cluster_objects.devices)))

    def _taken(self, cluster: Cluster, now_s: int) -> Iterator[Taken]:
        before, self.known = self.known, {}
        # After a long time without a look each pod is looked at as if for the first time.
        is_late, self._looked_s = now_s - self._looked_s > DAY_S / 2, now_s
        self.reported_ends &= self.pods.objects.keys()
        for uid, pod in (*self.pods.objects.items(), *self.pods.gone.items()):
            known = cluster.known(uid, pod)
            if not known.gpus and uid in before:
                # Its claim went before it did.
                known = before[uid][1]
            is_over = pod.is_over or uid in self.pods.gone
            if not is_over:
                self.known[uid] = pod, known
            elif uid in self.reported_ends:
                continue
            elif uid in self.pods.objects:
                self.reported_ends.add(uid)
            # What is known of now is known up to the second that is over.
            end_s = pod.end_s if is_over else now_s - 1
            if pod.start_s is not None and end_s is not None and end_s >= pod.start_s:
                # Of an end the same is told, whoever tells it.
                back_s = DAY_S if uid in before and not is_over and not is_late else MONTH_S
                yield from (_reading(uid, pod, has, max(pod.start_s, end_s - back_s), end_s) for has in known.gpus)

    def _say(self) -> None:
        """Tell of pods whose GPUs are not known, each once."""
        lacks = {uid: f"{pod.namespace}/{pod.name} ({known.lacks})" for uid, (pod, known) in self.known.items() if known.lacks}
        new = [said for uid, said in sorted(lacks.items()) if uid not in self._said]
        if new:
            more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
            log.warning("the API does not say which GPUs these pods have: %s%s", ", ".join(new[:NAMED]), more)
        self._said = lacks


def _reading(uid: str, pod: Pod, has: Has, start_s: int, end_s: int) -> Taken:
    """For how long a pod has had a GPU. Times are whole seconds to the API: each pod has a fraction of its own beneath that.

    So two that share a GPU are never told of at one time, and the same is told of an end whenever it is told.
    """
    digest = hashlib.sha256(f"{uid}/{has.container}".encode()).digest()
    fraction_s = int.from_bytes(digest[:4]) % 1_000_000 / 1e6
    owner = {"namespace": pod.namespace, "pod": pod.name, "container": has.container, TOLD_BY: KUBERNETES}
    gpu = Gpu(has.uuid, "" if has.index < 0 else str(has.index), host=has.node, labels=owner)
    return Taken(KUBERNETES_HELD, gpu, float(end_s - start_s), end_s + fraction_s)

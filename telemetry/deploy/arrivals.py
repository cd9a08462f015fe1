"""Waits for the first row of each edge that is deployed: the centre is asked again and again, until time is up.

What counts as a row that has arrived, and how a verdict reads, is `verdicts`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from telemetry.deploy import centre, pods
from telemetry.deploy.cluster import Cluster, ClusterError
from telemetry.deploy.inventory import Site
from telemetry.deploy.pods import Place
from telemetry.deploy.preflight import Deployment
from telemetry.deploy.verdicts import Arrival, Looked, Times, good, late

LOOK_EVERY_S = 3.0


class Arrivals:
    """Looks at the centre in a thread of its own, from the first edge on that is deployed."""

    def __init__(self, deployment: Deployment, first_row_s: float, new: Collection[Site]) -> None:
        self._deployment, self._first_row_s, self._new = deployment, first_row_s, new
        (self._centre,) = deployment.inventory.of("central")
        self._times: dict[Site, Times] = {}
        self._looked, self._lock = Looked(), Lock()
        self._over, self._seen, self._wake = Event(), Event(), Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._wake.set()
        if self._thread.is_alive():
            # What still asks a centre that does not answer ends with the process.
            self._thread.join(LOOK_EVERY_S)

    def begun(self, site: Site) -> None:
        """The deployment of an edge begins."""
        with self._lock:
            if not self._times:
                self._thread.start()
            self._times[site] = Times(monotonic(), site in self._new)

    def ready(self, site: Site) -> None:
        """All its pods are ready."""
        self._times[site].ready_s = monotonic()
        self._wake.set()

    def wait(self, sites: Sequence[Site]) -> Iterator[Arrival]:
        """The verdict on each edge of these sites, which are ready, as soon as there is one."""
        waiting = {site: self._places(site) for site in sites}
        while waiting:
            self._seen.clear()
            for site, places in list(waiting.items()):
                is_over = monotonic() - (self._times[site].ready_s or monotonic()) >= self._first_row_s
                arrivals = self._verdicts(site, places, is_over=is_over)
                yield from arrivals.values()
                waiting[site] = [place for place in places if place not in arrivals]
                if is_over or (places and not waiting[site]):
                    del waiting[site]
                elif not places:
                    waiting[site] = self._places(site)
            if waiting:
                self._seen.wait(LOOK_EVERY_S)

    def _verdicts(self, site: Site, places: Sequence[Place], *, is_over: bool) -> dict[Place | None, Arrival]:
        if not places and is_over:
            says = f"no row of edge {site.name} within {self._first_row_s:.0f} s: none of its streamers is ready"
            return {None: Arrival(site, site.name, False, says, None, "`telemetry deploy status` shows its pods")}
        with self._lock:
            arrivals = {place: good(site, place, self._times[site], self._looked) for place in places}
            return {
                place: arrival or late(site, place, self._looked, self._first_row_s, self._deployment.inventory.namespace)
                for place, arrival in arrivals.items()
                if arrival or is_over
            }

    def _places(self, site: Site) -> list[Place]:
        try:
            cluster = Cluster(site.context, self._deployment.kubeconfig)
            return pods.of_edges(cluster, self._deployment.inventory.namespace, site.release)
        except ClusterError:
            return []

    def _watch(self) -> None:
        while not self._over.is_set():
            self._wake.clear()
            try:
                cluster = Cluster(self._centre.context, self._deployment.kubeconfig)
                answer = centre.ask(cluster, self._deployment.inventory.namespace, self._centre.release)
                with self._lock:
                    self._looked.add(answer)
            except ClusterError as error:
                with self._lock:
                    self._looked.fault = str(error)
            self._seen.set()
            self._wake.wait(LOOK_EVERY_S)

"""Installs or upgrades sites: the shared one, then the centre with its migrations, then the edges side by side.

Each step may be done again. A site that fails keeps what comes after it from being touched. Pods that are ready are no proof
that rows flow: `arrivals` waits for those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Thread

from telemetry.deploy import handout, secrets, trouble, workloads
from telemetry.deploy.arrivals import Arrivals
from telemetry.deploy.cluster import Cluster, ClusterError
from telemetry.deploy.helm import HelmError
from telemetry.deploy.inventory import ROLES, Site
from telemetry.deploy.preflight import Deployment, secrets_of, sources

Say = Callable[[str], None]
LOOK_EVERY_S = 3.0
# Helm's own time limit ends it; this one ends a Helm that does not keep to it.
GRACE_S = 30.0


def deploy(
    deployment: Deployment, sites: Sequence[Site], timeout_s: int, say: Say, arrivals: Arrivals | None = None
) -> list[Site]:
    """Bring the sites up, in order; those that failed. What stands behind a failure is left as it was.

    `arrivals` is told when each edge begins, and when it is ready.
    """
    if deployment.users:
        if deployment.users.certificate and deployment.users.has_new_certificate:
            say(f"{label(handout.home(deployment.inventory))}: a new certificate for {deployment.inventory.broker.host}")
        try:
            handout.keep(deployment)
        except ClusterError as error:
            say(f"{label(handout.home(deployment.inventory))}: FAILED to keep the credentials: {error}")
            return list(sites)
    for role in ROLES:
        of_role = [site for site in sites if site.role == role]
        if role == "edge" and of_role and deployment.users and not declared(deployment, timeout_s, say):
            return of_role
        with ThreadPoolExecutor(max_workers=8) as pool:
            up = list(pool.map(lambda site: _one(deployment, site, timeout_s, say, arrivals), of_role))
        failed = [site for site, is_up in zip(of_role, up, strict=True) if not is_up]
        if failed:
            for site in sites[sites.index(of_role[-1]) + 1 :]:
                say(f"{label(site)}: left as it was")
            return failed
    return []


def declared(deployment: Deployment, timeout_s: int, say: Say) -> bool:
    """Tell the centre which credentials are valid; whether it took them, and the broker lets the edges in."""
    (site,), begin = deployment.inventory.of("central"), time.monotonic()
    say(f"{label(site)}: tells database and broker which credentials of edges are valid")
    try:
        handout.declare(deployment, timeout_s)
    except (ClusterError, HelmError) as error:
        say(f"{label(site)}: FAILED: {deployment.passwords.hidden(str(error))}")
        for line in _why(deployment, site):
            say(f"{label(site)}:   {deployment.passwords.hidden(line)}")
        return False
    say(f"{label(site)}: the credentials are valid after {time.monotonic() - begin:.0f} s")
    return True


def label(site: Site) -> str:
    """How a site is called on the screen."""
    return f"{site.role} {site.context}"


def _one(deployment: Deployment, site: Site, timeout_s: int, say: Say, arrivals: Arrivals | None) -> bool:
    namespace, begin = deployment.inventory.namespace, time.monotonic()
    hide = deployment.passwords.hidden
    watched = arrivals if site.role == "edge" else None
    if watched:
        watched.begun(site)
    try:
        cluster = Cluster(site.context, deployment.kubeconfig)
        secrets.write(cluster, namespace, secrets_of(deployment, site))
        say(f"{label(site)}: helm upgrade --install {site.release}")
        with ExitStack() as stack:
            stack.enter_context(_watching(deployment, site, say))
            _upgrade(deployment, site, cluster, timeout_s)
            _wait(cluster, namespace, site.release, begin + timeout_s)
    except (HelmError, ClusterError, TimeoutError) as error:
        say(f"{label(site)}: FAILED: {hide(str(error))}")
        for line in _why(deployment, site):
            say(f"{label(site)}:   {hide(line)}")
        return False
    if watched:
        watched.ready(site)
    say(f"{label(site)}: ready in {time.monotonic() - begin:.0f} s")
    return True


def _upgrade(deployment: Deployment, site: Site, cluster: Cluster, timeout_s: int) -> None:
    by_name = secrets.present(cluster, deployment.inventory.namespace)
    with ExitStack() as stack:
        files = sources(deployment, site, stack, have=by_name, token=secrets.token(by_name, site))
        command = deployment.helm.upgrade(site.context, site.release, deployment.inventory.namespace, files, timeout_s)
        deployment.helm.run(command, timeout_s + GRACE_S)


def _wait(cluster: Cluster, namespace: str, release: str, until: float) -> None:
    """Wait for what Helm 3 takes for granted: all pods of a DaemonSet, and the migration."""
    while missing := _missing(workloads.states(cluster, namespace, release)):
        if time.monotonic() > until:
            raise TimeoutError(f"not ready in time: {', '.join(missing)}")
        time.sleep(LOOK_EVERY_S)


def _missing(states: Sequence[workloads.State]) -> list[str]:
    return [str(state) for state in states if not state.is_up] if states else ["the cluster shows no workload of the release"]


class _watching:  # noqa: N801 - a context manager that reads as a verb
    """Says how many pods are ready, whenever that changes, while Helm waits."""

    def __init__(self, deployment: Deployment, site: Site, say: Say) -> None:
        self._deployment, self._site, self._say = deployment, site, say
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        last_line = ""
        while not self._over.wait(LOOK_EVERY_S):
            try:
                cluster = Cluster(self._site.context, self._deployment.kubeconfig)
                states = workloads.states(cluster, self._deployment.inventory.namespace, self._site.release)
            except ClusterError:
                continue
            line = ", ".join(map(str, states))
            if line and line != last_line:
                self._say(f"{label(self._site)}: {line}")
            last_line = line


def _why(deployment: Deployment, site: Site) -> Iterator[str]:
    try:
        cluster = Cluster(site.context, deployment.kubeconfig)
    except ClusterError as error:
        yield str(error)
        return
    yield from trouble.lines(cluster, deployment.inventory.namespace, site.release, site.release)

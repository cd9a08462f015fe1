"""Says what a deployment would do, in order, and does none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from telemetry.deploy import handout
from telemetry.deploy.preflight import Deployment, Ready, secrets_of
from telemetry.deploy.rollout import label


def lines(deployment: Deployment, ready: Sequence[Ready], timeout_s: int, first_row_s: float) -> Iterator[str]:
    """What would be done at each site, in the order in which it would be. Rows are waited for unless `first_row_s` is 0."""
    namespace, inventory = deployment.inventory.namespace, deployment.inventory
    if deployment.users:
        yield from _handed_out(deployment)
    for each in ready:
        where = label(each.site)
        if each.new_namespace:
            yield f"{where}: would make the namespace {namespace}"
        yield from (f"{where}: {_written(name, held)}" for name, held in secrets_of(deployment, each.site).items())
        done = "upgrade" if each.release else "install"
        command = deployment.helm.upgrade(each.site.context, each.site.release, namespace, ["<values>"], timeout_s)
        yield f"{where}: would {done} {each.site.release}: {deployment.helm.program} {' '.join(command)}"
        counts = Counter(item["kind"] for item in each.objects)
        yield f"{where}: it consists of {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}"
    edges = [label(each.site) for each in ready if each.site.role == "edge"]
    if edges and deployment.users:
        yield f"{label(inventory.of('central')[0])}: before the edges, a Job would make the credentials of edges valid"
    if edges and first_row_s and inventory.of("central"):
        where = label(inventory.of("central")[0])
        yield f"{where}: would be asked for {first_row_s:.0f} s at most for the first row of {', '.join(edges)}"


def _handed_out(deployment: Deployment) -> Iterator[str]:
    """The Secrets that are kept beside the broker, or the centre."""
    where = label(handout.home(deployment.inventory))
    if deployment.users and deployment.users.certificate and deployment.users.has_new_certificate:
        yield f"{where}: would make a certificate for {deployment.inventory.broker.host}, as there is none for it"
    yield from (f"{where}: {_written(name, held)}" for name, held in handout.kept(deployment).items())


def _written(name: str, held: Mapping[str, str]) -> str:
    return f"would write the Secret {name} with the {'key' if len(held) == 1 else 'keys'} {', '.join(sorted(held))}"

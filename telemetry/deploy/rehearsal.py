"""Says what a deployment would do, in order, and does none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from telemetry.deploy.preflight import Deployment, Ready, secrets_of
from telemetry.deploy.rollout import label


def lines(deployment: Deployment, ready: Sequence[Ready], timeout_s: int) -> Iterator[str]:
    """What would be done at each site, in the order in which it would be."""
    namespace = deployment.inventory.namespace
    for each in ready:
        where = label(each.site)
        if each.new_namespace:
            yield f"{where}: would make the namespace {namespace}"
        for name, held in secrets_of(deployment, each.site).items():
            keys = ("key " if len(held) == 1 else "keys ") + ", ".join(sorted(held))
            yield f"{where}: would write the Secret {name} with the {keys}"
        done = "upgrade" if each.release else "install"
        command = deployment.helm.upgrade(each.site.context, each.site.release, namespace, ["<values>"], timeout_s)
        yield f"{where}: would {done} {each.site.release}: {deployment.helm.program} {' '.join(command)}"
        counts = Counter(item["kind"] for item in each.objects)
        yield f"{where}: it consists of {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}"

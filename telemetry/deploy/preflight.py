"""Looks at all clusters before anything changes: renders what would be installed, asks, and gathers all problems at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telemetry.deploy import helm, secrets, values
from telemetry.deploy.cluster import CORE, Cluster, ClusterError, path_of
from telemetry.deploy.facts import gather
from telemetry.deploy.helm import Helm, HelmError
from telemetry.deploy.inventory import Inventory, Site, checked
from telemetry.deploy.judgement import Problem, judge
from telemetry.deploy.passwords import Passwords
from telemetry.deploy.rendered import Object, installed
from telemetry.deploy.rendered import secrets as mounted
from telemetry.deploy.users import Users

# redis.serviceName of the chart.
BROKER_SERVICE = "telemetry-redis"
EXEC = "pods/exec"
REACHED = "see whether the context is right and its credentials are valid"


@dataclass(frozen=True, slots=True)
class Deployment:
    """Everything that a run works on."""

    inventory: Inventory
    passwords: Passwords
    helm: Helm
    kubeconfig: str | None = None
    # None where all share one password.
    users: Users | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A site that was looked at: what would be installed, and what keeps it from that."""

    site: Site
    objects: list[Object] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    release: dict[str, Any] | None = None
    new_namespace: bool = False


def look(
    deployment: Deployment, sites: Sequence[Site], contexts: Sequence[str], asked: Sequence[Site] = ()
) -> tuple[list[Problem], list[Ready]]:
    """What is wrong with the whole, and each site, looked at side by side. In pods of those `asked` commands will be run."""
    general = [Problem(text.partition(": ")[0], text.partition(": ")[2]) for text in checked(deployment.inventory)]
    general += [
        Problem(f"kubeconfig has no context {context}", f"name one that it has: {', '.join(sorted(contexts)) or 'none'}")
        for context in sorted({site.context for site in sites} - set(contexts))
    ]
    general += _tools(deployment)
    if general:
        return general, []
    with ThreadPoolExecutor(max_workers=8) as pool:
        mute = [problem for problems in pool.map(lambda site: _mute(deployment, site, sites), asked) for problem in problems]
        return mute, list(pool.map(lambda site: _site(deployment, site), sites))


def _mute(deployment: Deployment, site: Site, looked_at: Sequence[Site]) -> list[Problem]:
    """What keeps commands from being run in the pods of a site: by websocket it is `get`, newer clusters want `create`, too."""
    try:
        cluster = Cluster(site.context, deployment.kubeconfig)
        denied = [verb for verb in ("get", "create") if not cluster.may(verb, CORE, EXEC, deployment.inventory.namespace)]
    except ClusterError as error:
        return [] if site in looked_at else [Problem(f"{site.role} {site.context}: {error}", REACHED)]
    if not denied:
        return []
    return [
        Problem(
            f"the user of {site.context} may not {' or '.join(denied)} {EXEC}, so nobody can ask there whether rows arrive",
            "grant it that in the namespace, or leave the question out: --first-row 0 of a deployment, --dry-run of validate",
        )
    ]


def sources(deployment: Deployment, site: Site, stack: ExitStack, *, have: Collection[str], token: str) -> list[str]:
    """The files of values of a site, the made one among them. `have` are the Secrets that the site has or gets."""
    below, above = values.files(site, deployment.inventory, deployment.helm.chart)
    made = values.made(site, deployment.inventory, deployment.users, have=have, token=token)
    return [*below, stack.enter_context(helm.values_file(made)), *above]


def secrets_of(deployment: Deployment, site: Site) -> dict[str, dict[str, str]]:
    """The Secrets that the deployment makes at a site, with what they hold."""
    return secrets.contents(site, deployment.inventory, deployment.passwords, deployment.users)


def rendered(deployment: Deployment, site: Site, by_name: Mapping[str, Object]) -> list[Object]:
    """What would be installed where these Secrets are."""
    have = {*by_name, *secrets_of(deployment, site)}
    with ExitStack() as stack:
        files = sources(deployment, site, stack, have=have, token=secrets.token(by_name, site))
        return installed(deployment.helm.template(site.release, deployment.inventory.namespace, files))


def _tools(deployment: Deployment) -> list[Problem]:
    problems = []
    try:
        version = deployment.helm.version()
        if helm.numbers(version) < helm.MIN_VERSION:
            problems.append(Problem(f"helm is {version}", f"install {'.'.join(map(str, helm.MIN_VERSION))} or later"))
    except HelmError as error:
        problems.append(Problem(str(error).partition(": ")[0], str(error).partition(": ")[2]))
    inventory = deployment.inventory
    files = [
        *inventory.values,
        *(file for site in inventory.sites for file in site.values),
        inventory.broker.ca,
        inventory.database.ca,
    ]
    problems += [Problem(f"there is no file {file}", "correct its path") for file in files if file and not Path(file).is_file()]
    return problems


def _site(deployment: Deployment, site: Site) -> Ready:
    namespace = deployment.inventory.namespace
    try:
        cluster = Cluster(site.context, deployment.kubeconfig)
        by_name = secrets.present(cluster, namespace)
        objects = rendered(deployment, site, by_name)
        facts = gather(cluster, namespace, site.release, objects, list(mounted(objects)))
        # Helm keeps its releases in Secrets: who may not list them is told so, instead of what Helm says then.
        lists = ("list", "secrets") not in facts.denied
        release = deployment.helm.releases(site.context, namespace).get(site.release) if lists else None
    except ClusterError as error:
        return Ready(site, problems=[Problem(str(error), REACHED)])
    except HelmError as error:
        return Ready(site, problems=[Problem(str(error), "correct the values that it names")])
    made = list(secrets_of(deployment, site))
    # The certificate of the Redis is made with the users, before anything is installed.
    problems = judge(facts, objects, namespace, release, [*made, values.TLS_SECRET] if deployment.users else made)
    problems += [
        Problem(
            f"the Secret {name} is there and was not made by this tool",
            "leave its password out to use it as it is, or remove it",
        )
        for name in made
        if name in by_name and not secrets.is_ours(by_name[name])
    ]
    if _has_no_broker(deployment.inventory, site, cluster):
        problems.append(
            Problem("nothing in this namespace brings a broker", "give --redis-host, or deploy the centre here first")
        )
    if lacking := secrets.lacking(site, deployment.inventory, by_name, deployment.passwords):
        missing = Problem(lacking, "give it: --db-password - asks, @FILE reads, TELEMETRY_DEPLOY_DB_PASSWORD_FILE names a file")
        problems = [missing, *(each for each in problems if values.DATABASE_SECRET not in each.says)]
    return Ready(site, objects, problems, release, facts.namespace is None)


def _has_no_broker(inventory: Inventory, site: Site, cluster: Cluster) -> bool:
    """Whether an edge is alone, with neither an address nor a release beside it that has the broker."""
    if site.role != "edge" or inventory.broker.is_elsewhere or inventory.of("shared", "central"):
        return False
    return cluster.seen(path_of(CORE, "services", inventory.namespace, BROKER_SERVICE)) is None

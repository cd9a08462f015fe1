"""Hands out the credentials of edges and of the centre's parts: keeps which are valid, and tells the broker and the centre.

The centre's secret and the numbers of valid credentials are Secrets beside the broker that the deployment brings, else beside
the centre. Our broker gets its users as a file. The centre's database is told by a Job there, which is given names and numbers
alone; it ends when the broker lets every edge in, so that no edge gets what is not good yet.
"""

from __future__ import annotations

import copy
import json
import secrets as random
import time
from dataclasses import replace
from typing import Any

from telemetry.deploy import certificates, secrets, values, workloads
from telemetry.deploy.cluster import CORE, Cluster, ClusterError, path_of
from telemetry.deploy.inventory import Inventory, Site
from telemetry.deploy.passwords import Passwords
from telemetry.deploy.preflight import Deployment, rendered
from telemetry.deploy.users import Users

# The broker reads a change of its users within two minutes: a node's kubelet brings it, and it looks every ten seconds.
WAIT_S = 180
LOOK_EVERY_S = 1.0
TRUST_PATH = "/run/secrets/trust"
Object = dict[str, Any]


def home(inventory: Inventory) -> Site:
    """The site where the credentials are kept."""
    return inventory.of("shared", "central")[0]


def known(inventory: Inventory, passwords: Passwords, kubeconfig: str | None) -> tuple[Users, Passwords]:
    """The users of a deployment, and what else is made once: new ones are only kept when `keep` is called.

    Raises ClusterError where nobody can say whether there are some: others in their place would shut all edges out.
    """
    site = home(inventory)
    cluster = Cluster(site.context, kubeconfig)
    there = {name: cluster.get(path_of(CORE, "secrets", inventory.namespace, name)) for name in secrets.NAMES}
    by_name = {name: secret for name, secret in there.items() if secret is not None}
    secret, serials = random.token_hex(32), {}
    if values.TRUST_SECRET in by_name:
        secret = secrets.text(by_name[values.TRUST_SECRET], secrets.TRUST_KEY)
    if secrets.ISSUED_SECRET in by_name:
        serials = json.loads(secrets.text(by_name[secrets.ISSUED_SECRET], secrets.ISSUED_KEY))
    ours, certificate = bool(inventory.of("shared")), _certificate(inventory, by_name)
    made = Users(
        values.key_prefix(inventory),
        secret,
        {name: tuple(numbers) for name, numbers in serials.items()},
        ours,
        certificate or (certificates.made(inventory.broker.host) if values.brings_certificate(inventory) else {}),
        has_new_certificate=certificate is None,
    )
    if ours and passwords.broker is None and values.BROKER_SECRET not in by_name:
        passwords = replace(passwords, broker=random.token_urlsafe(32))
    return made.with_edges(edge.name for edge in inventory.of("edge")), passwords


def unasked(inventory: Inventory) -> Users:
    """The users where no cluster is asked: good for names of Secrets, and for nothing that they hold."""
    names = [edge.name for edge in inventory.of("edge")]
    return Users(values.key_prefix(inventory), "", {}, bool(inventory.of("shared"))).with_edges(names)


def keep(deployment: Deployment) -> None:
    """Keep what is valid, and tell our broker its users. Raises ClusterError."""
    inventory = deployment.inventory
    secrets.write(Cluster(home(inventory).context, deployment.kubeconfig), inventory.namespace, kept(deployment))


def kept(deployment: Deployment) -> dict[str, dict[str, str]]:
    """The Secrets in which all of that is kept, at `home`, with what they hold."""
    users, inventory = _users(deployment), deployment.inventory
    issued = json.dumps(users.serials, sort_keys=True)
    made = {
        values.TRUST_SECRET: {secrets.TRUST_KEY: users.secret},
        secrets.ISSUED_SECRET: {secrets.ISSUED_KEY: issued},
    }
    if users.certificate:
        made[values.TLS_SECRET] = dict(users.certificate)
    return made | (secrets.contents(home(inventory), inventory, deployment.passwords, users) if users.ours else {})


def declare(deployment: Deployment, timeout_s: int) -> None:
    """Tell the centre which credentials are valid, and wait until the broker takes them. Raises ClusterError or HelmError."""
    (site,), namespace = deployment.inventory.of("central"), deployment.inventory.namespace
    cluster = Cluster(site.context, deployment.kubeconfig)
    objects = rendered(deployment, site, secrets.present(cluster, namespace))
    made = cluster.send("POST", path_of("batch/v1", "jobs", namespace), job(objects, _users(deployment)))
    path = path_of("batch/v1", "jobs", namespace, made["metadata"]["name"])
    until = time.monotonic() + timeout_s
    while not workloads.job(answer := cluster.get(path) or {}).is_up:
        conditions = (answer.get("status") or {}).get("conditions") or []
        if any(each["type"] == "Failed" and each["status"] == "True" for each in conditions):
            raise ClusterError(f"the Job {made['metadata']['name']} failed: its log says why")
        if time.monotonic() > until:
            raise ClusterError(f"the Job {made['metadata']['name']} has not ended within {timeout_s} s: its log says why")
        time.sleep(LOOK_EVERY_S)


def job(objects: list[Object], users: Users) -> Object:
    """The Job that tells the centre: that of the migrations with another command, as it reaches broker and database."""
    jobs = [each for each in objects if each["kind"] == "Job"]
    if not jobs:
        mend = f"run at the centre: telemetry edge declare {' '.join(users.declared())}"
        raise ClusterError(f"the centre's release has no Job of migrations to do it by: {mend}")
    made = copy.deepcopy(jobs[0])
    release = made["metadata"]["labels"]["app.kubernetes.io/instance"]
    made["metadata"] |= {"name": f"{release}-credentials-{random.token_hex(4)}", "annotations": {}}
    made["spec"] |= {"backoffLimit": 3, "activeDeadlineSeconds": WAIT_S * 2}
    pod = made["spec"]["template"]["spec"]
    container = pod["containers"][0]
    applies = [] if users.ours else ["--apply"]
    container |= {"command": ["telemetry", "edge", "declare", *applies, "--wait", str(WAIT_S), *users.declared()]}
    container["env"].append({"name": "TELEMETRY_TRUST_SECRET_FILE", "value": f"{TRUST_PATH}/{secrets.TRUST_KEY}"})
    container["volumeMounts"].append({"name": "trust", "mountPath": TRUST_PATH, "readOnly": True})
    items = [{"key": secrets.TRUST_KEY, "path": secrets.TRUST_KEY}]
    secret = {"secretName": values.TRUST_SECRET, "defaultMode": 0o440, "items": items}
    pod["volumes"].append({"name": "trust", "secret": secret})
    return made


def _certificate(inventory: Inventory, by_name: dict[str, Object]) -> dict[str, str] | None:
    """The certificate of our broker that is there; None if there is none, or it is for another host than clusters use now.

    {} where the deployment makes none.
    """
    if not values.brings_certificate(inventory):
        return {}
    if values.TLS_SECRET not in by_name:
        return None
    there = {name: secrets.text(by_name[values.TLS_SECRET], name) for name in certificates.NAMES}
    return there if certificates.covers(there[certificates.CERTIFICATE], inventory.broker.host) else None


def _users(deployment: Deployment) -> Users:
    assert deployment.users is not None  # noqa: S101 - who comes here has asked
    return deployment.users

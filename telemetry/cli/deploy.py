"""`telemetry deploy`: the chart in one cluster or many. `telemetry.deploy` does it; here are the options.

What each action says is `deploy_actions`'s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from telemetry import resources
from telemetry.cli import deploy_actions
from telemetry.cli.deploy_actions import Request
from telemetry.deploy import gitops, handout, passwords
from telemetry.deploy import inventory as inventories
from telemetry.deploy.certificates import CertificateError
from telemetry.deploy.cluster import ClusterError, contexts
from telemetry.deploy.gitops import Repository
from telemetry.deploy.helm import Helm, HelmError
from telemetry.deploy.inventory import Inventory, InventoryError, Role
from telemetry.deploy.passwords import PasswordError, Passwords
from telemetry.deploy.preflight import Deployment

CHART = "helm/telemetry-pipeline"
ALL: tuple[Role, ...] = inventories.ROLES
# The actions, and the roles that each is for.
ACTIONS: dict[str, tuple[Role, ...]] = {
    "deploy-edge": ("edge",),
    "deploy-central": ("central",),
    "deploy-shared": ("shared",),
    "deploy-all": ALL,
    "rotate-edge": ("edge",),
    "status": ALL,
    "validate": ALL,
    "cleanup": ALL,
    "render": ALL,
}
FILE = click.Path(dir_okay=False, exists=True)


@click.command()
@click.argument("action", metavar="ACTION", type=click.Choice(list(ACTIONS)))
@click.option(
    "--inventory",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="TOML file that says all of this without passwords, and more; docs/CROSS_CLUSTER_DEPLOYMENT.md has examples.",
)
@click.option(
    "--edge-context", "edge", metavar="CONTEXT", multiple=True, help="Context of an edge cluster; may be given several times."
)
@click.option("--central-context", "central", metavar="CONTEXT", help="Context of the central cluster.")
@click.option(
    "--shared-context", "shared", metavar="CONTEXT", help="Context of a cluster that gets a Redis, with a user for each edge."
)
@click.option(
    "--redis-host", metavar="HOST", help="The Redis, as all clusters reach it. Not needed where all is in one cluster."
)
@click.option("--redis-port", type=click.IntRange(1, 65535), help="Its port.  [default: 6380]")
@click.option("--redis-username", metavar="USER", help="Its user.  [default: the default user]")
@click.option("--redis-tls/--no-redis-tls", default=None, help="Whether it is reached by TLS.  [default: TLS]")
@click.option(
    "--redis-users",
    is_flag=True,
    default=None,
    help="Give each edge a user of its own there; user and password are those of one who may make users.",
)
@click.option("--redis-ca", type=FILE, help="CA certificate that it is checked against.")
@click.option("--redis-password", metavar="- | @FILE", help="Its password: - asks for it, @FILE reads it.")
@click.option(
    "--sentinel-password", metavar="- | @FILE", help="That of the sentinels in an inventory: - asks for it, @FILE reads it."
)
@click.option("--db-host", metavar="HOST", help="The Postgres. Without it the chart brings one, for development.")
@click.option("--db-port", type=click.IntRange(1, 65535), help="Its port.  [default: 5432]")
@click.option("--db-password", metavar="- | @FILE", help="Its password: - asks for it, @FILE reads it.")
@click.option("--namespace", metavar="NAME", help="Namespace in each cluster.  [default: telemetry]")
@click.option("--values", multiple=True, type=FILE, help="More values for the chart; may be given several times.")
@click.option("--dry-run", is_flag=True, help="Look at everything, change nothing, say what would be done.")
@click.option(
    "--timeout", "timeout_s", type=click.IntRange(10), default=300, show_default=True, help="Seconds for each cluster."
)
@click.option(
    "--first-row",
    "first_row_s",
    type=click.FloatRange(0),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="deploy-all, deploy-edge: how long to wait for the first row of each edge once its pods are ready; 0 does not look.",
)
@click.option("--watch", is_flag=True, help="status: look again and again, until Ctrl-C.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(1, 3600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="status: the pause between two looks of --watch.",
)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="render: folder for the files.")
@click.option(
    "--form",
    type=click.Choice(["values", "manifests"]),
    default="values",
    show_default=True,
    help="render: what Helm takes, or plain objects.",
)
@click.option(
    "--repository",
    metavar="URL",
    default="https://git.example.com/telemetry.git",
    help="render: where chart and files will stand.",
)
@click.option("--revision", default="main", show_default=True, help="render: its branch.")
@click.option("--path", default="deploy", show_default=True, help="render: the folder of the files in it.")
@click.option("--yes", is_flag=True, help="cleanup: do not ask.")
@click.option("--delete-data", is_flag=True, help="cleanup: remove volumes with their data, and the Secrets, too.")
@click.option("--kubeconfig", type=FILE, help="kubeconfig to use.  [default: as kubectl does]")
@click.option("--helm", "program", default="helm", show_default=True, help="The helm binary, 3.14 or later.")
@click.option(
    "--chart", type=click.Path(file_okay=False, exists=True, path_type=Path), help="The chart.  [default: that of the clone]"
)
# Not the one that commands share: whoever only deploys has no client of Redis.
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def deploy(
    action: str,
    inventory: Path | None,
    dry_run: bool,
    timeout_s: int,
    first_row_s: float,
    watch: bool,
    interval_s: float,
    yes: bool,
    delete_data: bool,
    output: Path | None,
    form: gitops.Form,
    repository: str,
    revision: str,
    path: str,
    kubeconfig: str | None,
    program: str,
    chart: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Deploy to clusters, look at them, or clean them up.

    \b
    deploy-shared, deploy-central, deploy-edge
                 install or upgrade the Redis, the centre, the edges
    deploy-all   all of them in this order, edges side by side
    rotate-edge  give edges new credentials; the old ones end when all pods
                 have the new ones
    validate     look for everything that would keep a deployment from working;
                 then, where it is installed, send a marked batch from each edge,
                 wait for its commit, and remove it
    status       show all clusters and their edges in one table
    render       write values or manifests for Argo CD and Flux; asks no cluster
    cleanup      remove the releases; data stays unless --delete-data

    A deployment of edges ends when the first row of each is stored, and says after how long. It learns that from
    `telemetry status` in a pod of the centre. Exits 1 if something failed, or a row did not come.

    \b
    One cluster:      telemetry deploy deploy-all --edge-context main --central-context main --db-password -
    Several clusters: telemetry deploy deploy-all --inventory fleet.toml --db-password @FILE

    Passwords also come from TELEMETRY_DEPLOY_REDIS_PASSWORD, …_DB_PASSWORD and …_SENTINEL_PASSWORD, or from the files that
    these with _FILE at their end name. They reach the clusters as Secrets. One that was given once need not be given again.
    """  # noqa: D301 - click wants the character itself
    if moved := passwords.moved(sys.argv[1:], os.environ):
        os.execve(sys.executable, [sys.executable, sys.argv[0], *moved.arguments], moved.environ)  # noqa: S606 - this program again
    try:
        secrets = _passwords(options)
        made = _inventory(inventory, options)
        helm = Helm(program, chart or _own_chart(), kubeconfig)
        sites = made.of(*ACTIONS[action])
        if not sites:
            roles = " or ".join(f"--{role}-context" for role in ACTIONS[action])
            raise click.UsageError(f"{action} has no cluster: give {roles}, or an --inventory that has some")
        deployment = _deployment(action, made, secrets, helm, kubeconfig)
        request = Request(
            deployment, sites, dry_run, as_json, timeout_s, first_row_s, interval_s if watch else None, yes, delete_data
        )
        match action:
            case "render":
                whence = Repository(repository, revision, path.strip("/"))
                code = deploy_actions.render(request, output, form, whence)
            case "status":
                code = deploy_actions.status(request)
            case "validate":
                code = deploy_actions.validate(request)
            case "cleanup":
                code = deploy_actions.cleanup(request)
            case "rotate-edge":
                code = deploy_actions.rotate(request)
            case _:
                code = deploy_actions.deploy(request)
    except (InventoryError, PasswordError) as error:
        raise click.UsageError(str(error)) from None
    except (CertificateError, ClusterError, HelmError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)


def _deployment(action: str, inventory: Inventory, given: Passwords, helm: Helm, kubeconfig: str | None) -> Deployment:
    """What a run works on, with the users of the broker where there are some."""
    users = None
    contradicts = inventories.checked(inventory) or not inventory.of("shared", "central")
    if inventory.has_users and not contradicts and action not in {"status", "cleanup"}:
        if action == "render":
            users = handout.unasked(inventory)
        elif handout.home(inventory).context in contexts(kubeconfig):
            users, given = handout.known(inventory, given, kubeconfig)
    return Deployment(inventory, given, helm, kubeconfig, users)


def _own_chart() -> Path:
    try:
        return resources.path(CHART)
    except FileNotFoundError:
        raise click.UsageError(
            "this installation has no chart: give --chart, the folder helm/telemetry-pipeline of a clone"
        ) from None


def _passwords(options: dict[str, Any]) -> Passwords:
    def ask(prompt: str) -> str:
        return str(click.prompt(prompt.rstrip(": "), hide_input=True, err=True))

    values = [
        passwords.resolved(option, options.pop(option.removeprefix("--").replace("-", "_")), os.environ, ask)
        for option in passwords.VARIABLES
    ]
    return Passwords(*values)


def _inventory(path: Path | None, options: dict[str, Any]) -> Inventory:
    roles: tuple[Role, ...] = ("central", "shared")
    given: dict[Role, Sequence[str]] = {role: [context] for role in roles if (context := options.pop(role))}
    given["edge"] = options.pop("edge")
    return inventories.merged(inventories.read(path) if path else Inventory(), given, **options)

"""The actions of `telemetry deploy`: what each looks at, does and says, and its exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from telemetry.cli import deploy_table
from telemetry.cli.deploy_words import Outcome, end, tell_problems, voice
from telemetry.cli.redraw import colour_allowed, painted, redraw
from telemetry.cli.status_lines import Line
from telemetry.deploy import gitops, overview, preflight, rehearsal, removal, rollout, rotation, trials
from telemetry.deploy import inventory as inventories
from telemetry.deploy.arrivals import Arrivals
from telemetry.deploy.cluster import contexts
from telemetry.deploy.gitops import Repository
from telemetry.deploy.inventory import Site
from telemetry.deploy.overview import Overview
from telemetry.deploy.preflight import Deployment, Ready


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. `first_row_s`: 0 does not wait for rows. `watch_s`: the pause between looks, None for one look."""

    deployment: Deployment
    sites: list[Site]
    dry_run: bool
    as_json: bool
    timeout_s: int
    first_row_s: float
    watch_s: float | None
    yes: bool
    data: bool

    @property
    def edges(self) -> list[Site]:
        """The edges among the sites."""
        return [site for site in self.sites if site.role == "edge"]

    @property
    def centre(self) -> list[Site]:
        """The centre, wherever it is said; none if nobody says it."""
        return self.deployment.inventory.of("central")[:1]


def deploy(request: Request) -> int:
    """Install or upgrade sites, and wait for the first row of each edge."""
    say, deployment, known = voice(request.as_json), request.deployment, contexts(request.deployment.kubeconfig)
    unasked = _unasked(request, known)
    asked = request.centre if request.edges and not unasked else []
    general, ready = preflight.look(deployment, request.sites, known, asked)
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(request.as_json, outcome)
    if request.dry_run:
        for line in rehearsal.lines(deployment, ready, request.timeout_s, request.first_row_s if asked else 0):
            say(line)
        return end(request.as_json, outcome)
    with ExitStack() as stack:
        new = {each.site for each in ready if each.release is None}
        arrivals = stack.enter_context(Arrivals(deployment, request.first_row_s, new)) if asked else None
        outcome.failed = rollout.deploy(deployment, request.sites, request.timeout_s, say, arrivals)
        up = [] if _stopped(outcome.failed) else [site for site in request.edges if site not in outcome.failed]
        if arrivals and up:
            (home,) = request.centre
            say(f"{rollout.label(home)}: is asked for the first row of each edge, for {request.first_row_s:.0f} s at most")
            outcome.rows = []
            for arrival in arrivals.wait(up):
                outcome.rows.append(arrival)
                mend = f"\n    mend: {arrival.mend}" if arrival.mend else ""
                say(f"{rollout.label(arrival.site)}: {arrival.says}{mend}")
    if request.edges and unasked:
        say(f"whether rows of the edges arrive was not looked at, as {unasked}")
    return end(request.as_json, outcome)


def rotate(request: Request) -> int:
    """Give edges new credentials."""
    deployment = request.deployment
    if not deployment.inventory.has_users:
        raise click.UsageError(
            "all edges share one password, so no edge can be given another alone: name --shared-context, or give --redis-users"
        )
    say = voice(request.as_json)
    general, ready = preflight.look(deployment, request.sites, contexts(deployment.kubeconfig))
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(request.as_json, outcome)
    if request.dry_run:
        for site in request.sites:
            say(f"{rollout.label(site)}: would get new credentials; the old ones would end when its pods are ready")
        return end(request.as_json, outcome)
    outcome.failed = rotation.rotate(deployment, request.sites, request.timeout_s, say)
    return end(request.as_json, outcome)


def validate(request: Request) -> int:
    """Look for all that would keep a deployment from working; where one is, send a marked batch from each edge."""
    say, deployment = voice(request.as_json), request.deployment
    tried = not request.dry_run and request.centre and request.edges
    asked = [*request.centre, *request.edges] if tried else []
    general, ready = preflight.look(deployment, request.sites, contexts(deployment.kubeconfig), asked)
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(request.as_json, outcome)
    count = len(request.sites)
    say(f"nothing keeps {count} {'site' if count == 1 else 'sites'} from being deployed")
    installed = _installed(request, ready)
    if not request.centre and request.edges:
        say("no marked batch is sent, as nobody says where the centre is, which has to remove it: give --central-context")
    elif request.edges and not installed:
        say("no marked batch is sent, as centre and edges are not installed yet")
    elif request.dry_run:
        for site in installed:
            say(f"{rollout.label(site)}: would send a marked batch from each of its edges, and remove it when it is committed")
    elif installed:
        outcome.trials = list(trials.run(deployment, installed))
        for each in outcome.trials:
            latency = f", {each.latency_s:.2f} s of it from publication to commit" if each.latency_s is not None else ""
            mend = f"\n    mend: {each.mend}" if each.mend else ""
            removed = f"{latency}; it is removed" if each.is_committed else ""
            say(f"{rollout.label(each.site)}: {each.edge}: {each.says}{removed}{mend}")
    return end(request.as_json, outcome)


def status(request: Request) -> int:
    """Show all sites and their edges, once or again and again."""

    def look() -> Overview:
        return overview.look(request.deployment, request.sites)

    def shown(view: Overview) -> list[Line]:
        if not request.as_json:
            return list(deploy_table.lines(view))
        return [Line(json.dumps(overview.document(view), indent=None if request.watch_s else 2))]

    if request.watch_s:
        redraw(lambda: shown(look()), request.watch_s, in_place=sys.stdout.isatty() and not request.as_json)
        return 0
    view = look()
    for line in shown(view):
        click.echo(line.text if request.as_json else painted(line), color=colour_allowed())
    return 0 if view.is_up else 1


def cleanup(request: Request) -> int:
    """Remove sites, after a question."""
    say = voice(request.as_json)
    for line in removal.planned(request.deployment, request.sites, data=request.data):
        say(line)
    if request.dry_run:
        return end(request.as_json, Outcome())
    if not request.yes:
        question = "Remove all of this, WITH THE DATA?" if request.data else "Remove these releases? Data stays."
        click.confirm(question, abort=True, err=request.as_json)
    failed = removal.remove(request.deployment, request.sites, request.timeout_s, say, data=request.data)
    return end(request.as_json, Outcome(failed=failed))


def render(request: Request, output: Path | None, form: gitops.Form, repository: Repository) -> int:
    """Write files for tools that deploy from a repository."""
    if output is None:
        raise click.UsageError("render needs --output: the folder for the files")
    if problems := inventories.checked(request.deployment.inventory):
        raise click.UsageError("; ".join(problems))
    files = gitops.written(request.deployment, request.sites, repository, form)
    for name, text in files.items():
        if not request.dry_run:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text(text, encoding="utf-8")
        voice(request.as_json)(f"{'would write' if request.dry_run else 'wrote'} {output / name}")
    if request.as_json:
        click.echo(json.dumps({"files": list(files)}, indent=2))
    return 0


def _unasked(request: Request, known: Sequence[str]) -> str:
    """Why the centre is not asked for rows; "" if it is."""
    if not request.first_row_s:
        return "--first-row is 0"
    if not request.centre:
        return "nobody says where the centre is: give --central-context"
    context = request.centre[0].context
    # Who deploys edges may have no way to the centre.
    return "" if context in known else f"kubeconfig has no context {context}, where the centre is"


def _stopped(failed: Sequence[Site]) -> bool:
    """Whether something failed that edges stand behind: then none was touched."""
    return any(site.role != "edge" for site in failed)


def _installed(request: Request, ready: Sequence[Ready]) -> list[Site]:
    """The edges that are installed, if the centre is, too."""
    there = {each.site for each in ready if each.release is not None}
    return [site for site in request.edges if site in there] if set(request.centre) & there else []

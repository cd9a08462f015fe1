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
class Wanted:
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


def deploy(wanted: Wanted) -> int:
    """Install or upgrade sites, and wait for the first row of each edge."""
    say, deployment, known = voice(wanted.as_json), wanted.deployment, contexts(wanted.deployment.kubeconfig)
    unasked = _unasked(wanted, known)
    asked = wanted.centre if wanted.edges and not unasked else []
    general, ready = preflight.look(deployment, wanted.sites, known, asked)
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(wanted.as_json, outcome)
    if wanted.dry_run:
        for line in rehearsal.lines(deployment, ready, wanted.timeout_s, wanted.first_row_s if asked else 0):
            say(line)
        return end(wanted.as_json, outcome)
    with ExitStack() as stack:
        new = {each.site for each in ready if each.release is None}
        arrivals = stack.enter_context(Arrivals(deployment, wanted.first_row_s, new)) if asked else None
        outcome.failed = rollout.deploy(deployment, wanted.sites, wanted.timeout_s, say, arrivals)
        up = [] if _stopped(outcome.failed) else [site for site in wanted.edges if site not in outcome.failed]
        if arrivals and up:
            (home,) = wanted.centre
            say(f"{rollout.label(home)}: is asked for the first row of each edge, for {wanted.first_row_s:.0f} s at most")
            outcome.rows = []
            for arrival in arrivals.wait(up):
                outcome.rows.append(arrival)
                mend = f"\n    mend: {arrival.mend}" if arrival.mend else ""
                say(f"{rollout.label(arrival.site)}: {arrival.says}{mend}")
    if wanted.edges and unasked:
        say(f"whether rows of the edges arrive was not looked at, as {unasked}")
    return end(wanted.as_json, outcome)


def rotate(wanted: Wanted) -> int:
    """Give edges new credentials."""
    deployment = wanted.deployment
    if not deployment.inventory.has_users:
        raise click.UsageError(
            "all edges share one password, so no edge can be given another alone: name --shared-context, or give --redis-users"
        )
    say = voice(wanted.as_json)
    general, ready = preflight.look(deployment, wanted.sites, contexts(deployment.kubeconfig))
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(wanted.as_json, outcome)
    if wanted.dry_run:
        for site in wanted.sites:
            say(f"{rollout.label(site)}: would get new credentials; the old ones would end when its pods are ready")
        return end(wanted.as_json, outcome)
    outcome.failed = rotation.rotate(deployment, wanted.sites, wanted.timeout_s, say)
    return end(wanted.as_json, outcome)


def validate(wanted: Wanted) -> int:
    """Look for all that would keep a deployment from working; where one is, send a marked batch from each edge."""
    say, deployment = voice(wanted.as_json), wanted.deployment
    tried = not wanted.dry_run and wanted.centre and wanted.edges
    asked = [*wanted.centre, *wanted.edges] if tried else []
    general, ready = preflight.look(deployment, wanted.sites, contexts(deployment.kubeconfig), asked)
    outcome = Outcome(general, ready)
    if tell_problems(general, ready, say):
        return end(wanted.as_json, outcome)
    count = len(wanted.sites)
    say(f"nothing keeps {count} {'site' if count == 1 else 'sites'} from being deployed")
    installed = _installed(wanted, ready)
    if not wanted.centre and wanted.edges:
        say("no marked batch is sent, as nobody says where the centre is, which has to remove it: give --central-context")
    elif wanted.edges and not installed:
        say("no marked batch is sent, as centre and edges are not installed yet")
    elif wanted.dry_run:
        for site in installed:
            say(f"{rollout.label(site)}: would send a marked batch from each of its edges, and remove it when it is committed")
    elif installed:
        outcome.trials = list(trials.run(deployment, installed))
        for each in outcome.trials:
            latency = f", {each.latency_s:.2f} s of it from publication to commit" if each.latency_s is not None else ""
            mend = f"\n    mend: {each.mend}" if each.mend else ""
            removed = f"{latency}; it is removed" if each.is_committed else ""
            say(f"{rollout.label(each.site)}: {each.edge}: {each.says}{removed}{mend}")
    return end(wanted.as_json, outcome)


def status(wanted: Wanted) -> int:
    """Show all sites and their edges, once or again and again."""

    def look() -> Overview:
        return overview.look(wanted.deployment, wanted.sites)

    def shown(found: Overview) -> list[Line]:
        if not wanted.as_json:
            return list(deploy_table.lines(found))
        return [Line(json.dumps(overview.document(found), indent=None if wanted.watch_s else 2))]

    if wanted.watch_s:
        redraw(lambda: shown(look()), wanted.watch_s, in_place=sys.stdout.isatty() and not wanted.as_json)
        return 0
    found = look()
    for line in shown(found):
        click.echo(line.text if wanted.as_json else painted(line), color=colour_allowed())
    return 0 if found.is_up else 1


def cleanup(wanted: Wanted) -> int:
    """Remove sites, after a question."""
    say = voice(wanted.as_json)
    for line in removal.planned(wanted.deployment, wanted.sites, data=wanted.data):
        say(line)
    if wanted.dry_run:
        return end(wanted.as_json, Outcome())
    if not wanted.yes:
        question = "Remove all of this, WITH THE DATA?" if wanted.data else "Remove these releases? Data stays."
        click.confirm(question, abort=True, err=wanted.as_json)
    failed = removal.remove(wanted.deployment, wanted.sites, wanted.timeout_s, say, data=wanted.data)
    return end(wanted.as_json, Outcome(failed=failed))


def render(wanted: Wanted, output: Path | None, form: gitops.Form, repository: Repository) -> int:
    """Write files for tools that deploy from a repository."""
    if output is None:
        raise click.UsageError("render needs --output: the folder for the files")
    if problems := inventories.checked(wanted.deployment.inventory):
        raise click.UsageError("; ".join(problems))
    files = gitops.written(wanted.deployment, wanted.sites, repository, form)
    for name, text in files.items():
        if not wanted.dry_run:
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text(text, encoding="utf-8")
        voice(wanted.as_json)(f"{'would write' if wanted.dry_run else 'wrote'} {output / name}")
    if wanted.as_json:
        click.echo(json.dumps({"files": list(files)}, indent=2))
    return 0


def _unasked(wanted: Wanted, known: Sequence[str]) -> str:
    """Why the centre is not asked for rows; "" if it is."""
    if not wanted.first_row_s:
        return "--first-row is 0"
    if not wanted.centre:
        return "nobody says where the centre is: give --central-context"
    context = wanted.centre[0].context
    # Who deploys edges may have no way to the centre.
    return "" if context in known else f"kubeconfig has no context {context}, where the centre is"


def _stopped(failed: Sequence[Site]) -> bool:
    """Whether something failed that edges stand behind: then none was touched."""
    return any(site.role != "edge" for site in failed)


def _installed(wanted: Wanted, ready: Sequence[Ready]) -> list[Site]:
    """The edges that are installed, if the centre is, too."""
    there = {each.site for each in ready if each.release is not None}
    return [site for site in wanted.edges if site in there] if set(wanted.centre) & there else []

"""How `telemetry deploy` says what it found and did: lines for people, and a document for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from telemetry.deploy import rollout, trials, verdicts
from telemetry.deploy.inventory import Site
from telemetry.deploy.judgement import Problem
from telemetry.deploy.preflight import Ready
from telemetry.deploy.trials import Trial
from telemetry.deploy.verdicts import Arrival


def voice(as_json: bool) -> Callable[[str], None]:
    """Says lines: beside a document for programs they go to standard error."""
    return lambda line: click.echo(line, err=as_json)


def tell_problems(general: list[Problem], ready: list[Ready], say: Callable[[str], None]) -> bool:
    """Say all problems; whether there are any."""
    problems = [("", problem) for problem in general]
    problems += [(f"{rollout.label(each.site)}: ", problem) for each in ready for problem in each.problems]
    for where, problem in problems:
        say(f"{where}{problem.says}\n    mend: {problem.mend}")
    if problems:
        say(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}; nothing was changed")
    return bool(problems)


@dataclass(slots=True)
class Outcome:
    """What a run came to. `rows` and `trials` are None where nobody looked."""

    general: list[Problem] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)
    failed: list[Site] = field(default_factory=list)
    rows: list[Arrival] | None = None
    trials: list[Trial] | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        has_problems = self.general or any(each.problems for each in self.ready)
        arrived = all(each.is_stored for each in self.rows or [])
        return not (has_problems or self.failed) and arrived and all(each.is_committed for each in self.trials or [])


def end(as_json: bool, outcome: Outcome) -> int:
    """The exit code, and the document for programs."""
    if as_json:
        problems = [{"role": None, "context": None, **problem._asdict()} for problem in outcome.general]
        problems += [
            {"role": each.site.role, "context": each.site.context, **problem._asdict()}
            for each in outcome.ready
            for problem in each.problems
        ]
        document = {
            "ok": outcome.is_sound,
            "problems": problems,
            "failed": [{"role": site.role, "context": site.context} for site in outcome.failed],
            "rows": None if outcome.rows is None else verdicts.document(outcome.rows),
            "trials": None if outcome.trials is None else trials.document(outcome.trials),
        }
        click.echo(json.dumps(document, indent=2))
    return 0 if outcome.is_sound else 1

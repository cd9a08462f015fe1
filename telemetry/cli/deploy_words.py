"""How `telemetry deploy` says what it found and did: lines for people, and a document for programs."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from telemetry.deploy import rollout
from telemetry.deploy.inventory import Site
from telemetry.deploy.judgement import Problem
from telemetry.deploy.preflight import Ready


def voice(as_json: bool) -> Callable[[str], None]:
    """Says lines: beside a document for programs they go to standard error."""
    return lambda line: click.echo(line, err=as_json)


def tell_problems(general: list[Problem], ready: list[Ready], say: Callable[[str], None]) -> bool:
    """Say all problems; whether there are any."""
    found = [("", problem) for problem in general]
    found += [(f"{rollout.label(each.site)}: ", problem) for each in ready for problem in each.problems]
    for where, problem in found:
        say(f"{where}{problem.says}\n    mend: {problem.mend}")
    if found:
        say(f"{len(found)} {'problem' if len(found) == 1 else 'problems'}; nothing was changed")
    return bool(found)


def end(as_json: bool, general: list[Problem], ready: list[Ready], failed: list[Site]) -> int:
    """The exit code, and the document for programs."""
    problems = [{"role": None, "context": None, **problem._asdict()} for problem in general]
    problems += [
        {"role": each.site.role, "context": each.site.context, **problem._asdict()}
        for each in ready
        for problem in each.problems
    ]
    sound = not problems and not failed
    if as_json:
        failures = [{"role": site.role, "context": site.context} for site in failed]
        click.echo(json.dumps({"ok": sound, "problems": problems, "failed": failures}, indent=2))
    return 0 if sound else 1

"""`telemetry doctor`: whether this machine can work with broker and database, and how to mend what is wrong.

The checks are those of `telemetry.doctor`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from telemetry.cli.session import data_dir_option, json_option, load_settings
from telemetry.doctor import address, checkup, course, report


@click.command()
@click.option(
    "--role",
    type=click.Choice(checkup.ROLES),
    help="What runs here: edge, central (collectors) or api; default TELEMETRY_ROLE.",
)
@data_dir_option
@json_option
def doctor(role: checkup.DoctorRole | None, data_dir: Path | None, as_json: bool) -> None:
    """Check names, network, TLS, passwords, rights, clocks, schema and room, as this role needs them.

    Each line is ok or comes with its mend. Nothing is changed. The checks take 15 s at most; the exit code is 1 if one failed.
    """
    settings = load_settings(data_dir)
    role = role or settings.role
    findings = course.run(checkup.courses(settings, role))
    secrets = address.secrets(settings)
    if as_json:
        click.echo(json.dumps(report.document(findings, role, secrets), indent=2))
    else:
        for line in report.lines(findings, secrets):
            click.echo(line)
    if not report.sound(findings):
        sys.exit(1)

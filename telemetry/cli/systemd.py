"""`telemetry systemd`: units for streamer and beat of an edge without Kubernetes.

The units run `celery` from the directory of the present interpreter. Settings and secrets stay in an environment file that the
administrator owns.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

import click

# A file that is read takes one, and a quiet one among hundreds takes none.
DESCRIPTORS = 65_536
COMMANDS = {
    "streamer": "worker --without-gossip --without-mingle -n streamer@%%h",
    "beat": "beat --pidfile=",
}
UNIT = """\
[Unit]
Description=GPU telemetry: {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
Environment=TELEMETRY_ROLE=edge
EnvironmentFile={environment}
ExecStart={celery} --quiet -A telemetry {command}
# SIGTERM goes to the main process only, which finishes a tick under way.
KillMode=mixed
TimeoutStopSec=60
Restart=always
RestartSec=5
WorkingDirectory=/
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
CapabilityBoundingSet=
MemoryMax=512M
LimitNOFILE={descriptors}

[Install]
WantedBy=multi-user.target
"""


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path("/etc/systemd/system"),
    show_default=True,
    help="Where the units are written.",
)
@click.option(
    "--environment",
    type=click.Path(path_type=Path),
    default=Path("/etc/telemetry/edge.env"),
    show_default=True,
    help="File of TELEMETRY_… settings; readable by its owner only, as it may hold passwords.",
)
@click.option("--user", default="telemetry", show_default=True, help="User that the processes run as.")
def systemd(directory: Path, environment: Path, user: str) -> None:
    """Write systemd units for the streamer and beat of this edge, and say what to do next."""
    for name, text in units(environment, user).items():
        try:
            (directory / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(
                f"{directory / name} cannot be written: {error.strerror}; give another --directory, or run as root"
            ) from None
        click.echo(f"wrote {directory / name}")
    click.echo(
        f"next: put TELEMETRY_BROKER_URL, TELEMETRY_EDGE and TELEMETRY_SOURCES into {environment}, then\n"
        "  systemctl daemon-reload && systemctl enable --now telemetry-streamer telemetry-beat"
    )


def units(environment: Path, user: str) -> dict[str, str]:
    """The units: their texts by file name."""
    celery = Path(sysconfig.get_path("scripts")) / "celery"
    return {
        f"telemetry-{name}.service": UNIT.format(
            name=name, user=user, environment=environment.absolute(), celery=celery, command=command, descriptors=DESCRIPTORS
        )
        for name, command in COMMANDS.items()
    }

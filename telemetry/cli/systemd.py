"""`telemetry systemd`: units for streamer and beat of an edge without Kubernetes, and for what records its GPUs.

The units run `celery` and `telemetry` from the directory of the present interpreter. Settings and secrets stay in an
environment file that the administrator owns.
"""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

import click

from telemetry.cli.record import tool_option

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
# What reads a driver, or a tool of one, needs its devices.
RECORD = """\
[Unit]
Description=GPU telemetry: record
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
ExecStart={telemetry} record {directory}{option}
Restart=always
RestartSec=5
WorkingDirectory=/
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={directory}
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices={no_devices}
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
CapabilityBoundingSet=
MemoryMax={memory}

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
@click.option(
    "--record",
    "recorded",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Write a unit of `telemetry record` too, which records the GPUs in this directory of the user's.",
)
@click.option("--scrape", metavar="URL", help="The endpoint that it reads instead of NVIDIA's driver.")
@tool_option("NVIDIA's driver, in that unit")
def systemd(directory: Path, environment: Path, user: str, recorded: Path | None, scrape: str | None, tool: str | None) -> None:
    """Write systemd units for the streamer and beat of this edge, and say what to do next."""
    if (scrape or tool) and not recorded:
        raise click.UsageError("--scrape and --tool are of --record: say the directory to record in")
    if scrape and tool:
        raise click.UsageError("give --scrape or --tool: a recording has one source")
    written = units(environment, user)
    if recorded:
        written["telemetry-record.service"] = record_unit(user, recorded.absolute(), scrape or "", tool or "")
    for name, text in written.items():
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
        + (f" telemetry-record\nwith TELEMETRY_SOURCES={recorded.absolute()}/gpus-*.csv" if recorded else "")
    )


def record_unit(user: str, directory: Path, scrape: str, tool: str = "") -> str:
    """The unit of what records the GPUs, of the driver, of an endpoint or of a tool."""
    telemetry = Path(sysconfig.get_path("scripts")) / "telemetry"
    # A unit has another PATH than a shell. To systemd a % begins a specifier.
    source = f" --scrape {scrape}" if scrape else f" --tool {shutil.which(tool) or tool}" if tool else ""
    return RECORD.format(
        user=user,
        telemetry=telemetry,
        directory=directory,
        option=source.replace("%", "%%"),
        no_devices="yes" if scrape else "no",
        memory="512M" if tool else "128M",
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

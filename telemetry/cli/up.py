"""`telemetry up`: the whole system on one machine, in the foreground, until Ctrl-C.

The Procfile says what runs. Servers that the environment does not name run embedded, with their data in the data directory.
The parts are `telemetry.local`'s; this command starts them in order and stops them in the opposite order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from telemetry import lock, resources
from telemetry.cli.data_dir import data_dir_option
from telemetry.cli.files import tell_passed_over
from telemetry.local import announcement, environment, ports, scraping
from telemetry.local.interrupts import Interrupts
from telemetry.local.log_files import LogFiles
from telemetry.local.preparation import UnreachableError, prepare
from telemetry.local.screen import Screen
from telemetry.local.secure import Secure, check_database
from telemetry.local.servers import ServerError
from telemetry.local.start_order import SHOWN_PORTS, STAGES, port_variable, read_procfile
from telemetry.local.supervisor import Supervisor
from telemetry.local.watch import HEALTH, watch
from telemetry.local.welcome import welcome
from telemetry.settings import PREFIX, Settings, SettingsError


@click.command()
@click.option(
    "--csv",
    "paths",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="A CSV file to stream, or a directory of them; may be repeated.  [default: TELEMETRY_SOURCES]",
)
@click.option("--replay", is_flag=True, help="Stream at the pace of live telemetry, with times of now, again and again.")
@data_dir_option("Where the state is kept.  [default: .telemetry]")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port of the web page and API.  [default: {ports.USUAL['api']}, or the next that is free]",
)
@click.option(
    "--secure",
    is_flag=True,
    help="Reach the broker by TLS, give each process a user there with its own rights, and believe signed batches only.",
)
@click.option("--procfile", type=click.Path(exists=True, dir_okay=False, path_type=Path), hidden=True)
def up(
    paths: tuple[Path, ...], replay: bool, data_dir: Path | None, port: int | None, secure: bool, procfile: Path | None
) -> None:
    """Run the whole system on this machine: database, broker, streamer, collector, API and Flower. Ctrl-C stops it."""
    with ExitStack() as stack, _errors_in_one_line():
        interrupts = stack.enter_context(Interrupts())
        environ = environment.environment(os.environ, paths, data_dir, replay=replay)
        for directory in filter(Path.is_dir, paths):
            tell_passed_over(directory)
        commands = read_procfile(procfile or resources.path("Procfile"))
        directory = Path(environ["TELEMETRY_DATA_DIR"])
        stack.enter_context(_locked(directory))
        chosen = _ports(port, environ)
        trust = _secure(environ, directory) if secure else None
        environ |= trust.of_all if trust else {}
        servers = environment.servers(environ, directory, trust)
        for server, variable in servers.items():
            interrupts.victims.append(server.kill)
            stack.enter_context(server)
            environ[variable] = server.url
        # As the commands that find this system: they may do what a person may.
        shared = {**environ, **(trust.of_commands() if trust else {})}
        settings = Settings.load(shared)
        prepare(settings)

        urls = {name: ports.url(chosen[name]) for name in SHOWN_PORTS}
        environ.setdefault(f"{PREFIX}FLOWER_URL", f"{urls['flower']}/")
        configuration = scraping.write(
            directory,
            {name: number for name, number in chosen.items() if name != "flower"},
            is_open=settings.api_access == "open",
        )
        stack.enter_context(announcement.announced(directory, shared, urls))
        files = stack.enter_context(closing(LogFiles(directory / "log")))
        supervisor = Supervisor(
            commands, environ, Screen(sys.stdout, commands), files, trust.of_process if trust else lambda _: {}
        )
        interrupts.victims.append(supervisor.kill)
        stack.callback(supervisor.stop, STAGES)
        interrupts.patient = True
        expected = {name: chosen[name] for name in HEALTH if name in commands}
        watch(supervisor, interrupts, servers, welcome(settings, urls, configuration, files.directory), expected)
        supervisor.screen.pin("")
        if supervisor.screen.unheard:
            # Nobody reads standard output any more: writing to it would break the orderly end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        supervisor.say("stopping, which takes some seconds; Ctrl-C again kills")
    click.echo(f"stopped; what was stored stays in {directory}")


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except (SettingsError, ServerError, UnreachableError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _secure(environ: Mapping[str, str], directory: Path) -> Secure:
    """The credentials of the data directory, in the file of users of a broker that is not started yet."""
    if any(name in environ for name in (environment.BROKER, f"{environment.BROKER}_FILE")):
        raise SettingsError(
            f"--secure makes the users of the embedded broker, and {environment.BROKER} names another: "
            "make its users by telemetry broker and telemetry edge"
        )
    settings = Settings.load(environ)
    if any(name in environ for name in (environment.DATABASE, f"{environment.DATABASE}_FILE")):
        check_database(settings.database_url)
    trust = Secure.of(directory, settings)
    trust.write_users()
    return trust


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        held = lock.hold(directory)
    except lock.HeldError as error:
        raise click.ClickException(
            f"telemetry up is already running in {directory} (process {error.holder}); stop it, or give another --data-dir"
        ) from None
    with held:
        yield


def _ports(port: int | None, environ: dict[str, str]) -> dict[str, int]:
    """Choose the ports, and put them into the Procfile's variables. A user may have set some of these."""
    asked: dict[str, int | None] = {}
    for name in ports.USUAL:
        given = environ.get(port_variable(name)) if name != "api" else None
        if given is not None and not given.isdecimal():
            raise click.UsageError(f"{port_variable(name)}={given} must be a port number, such as {ports.USUAL[name]}")
        asked[name] = int(given) if given else None
    asked["api"] = port
    chosen = ports.choose(asked)
    environ |= {port_variable(name): str(number) for name, number in chosen.items()}
    for name in SHOWN_PORTS:
        if chosen[name] != ports.USUAL[name] and asked[name] is None:
            click.echo(f"port {ports.USUAL[name]} is taken, so {name} uses port {chosen[name]}")
    return chosen

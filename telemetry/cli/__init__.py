"""The `telemetry` command.

Each subcommand is a module of its own name, imported when it is called, as an edge lacks some libraries: `up`, `simulate`,
`record`, `ingest`, `check`, `verify`, `formats`, `status`, `gpus`, `top`, `sources`, `usage`, `health`, `events`, `plan`,
`doctor`, `edge`, `broker`, `apikey`, `deadletter`, `quarantine`, `trial`, `forget`, `rewind`, `audit`, `exporter`, `deploy`,
`systemd`, `psql`, `archive`, and `db` with `rules`. `session` gives them settings and the broker, `database` the database.
`data_dir` is an option of all, `moments` are times that some are given. `files` are what `ingest`, `verify` and `check` get.
`to_the_end` streams files for `ingest`, `ingested` tells what became of them, by the ledger if `centre` reaches it. `todo`
says what to do about a source. `archived` reads an archive back for `ingest`. `overview`, `collectors`, `parts`, `mends`,
`status_document`, `status_lines`, `source_line` and `redraw` are `status`'s, `usage_report` is `usage`'s, `top_screen` and
`top_look` are `top`'s, `sealed_days`, `retention` and `steps` are `db`'s, `sizing` is `plan`'s, `declared` is `edge`'s,
`deploy_actions`, `deploy_table` and `deploy_words` are `deploy`'s. `quantities` are numbers for people, `foreign` texts of
strangers.
"""

from __future__ import annotations

import gc
import importlib
import sys
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import click

import telemetry
from telemetry import algebra, descriptors
from telemetry.cli.data_dir import data_dir_option
from telemetry.settings import SettingsError, tell_misspelt

# In the order in which a newcomer needs them.
GROUPS = {
    "Begin": {
        "up": "Run the whole system on this machine.",
        "simulate": "Write believable fleet telemetry as CSV.",
        "record": "Record the GPUs of this machine as CSV.",
        "ingest": "Stream files once, to the last row.",
    },
    "Files": {
        "check": "Say what files would bring, without storing anything.",
        "formats": "List the formats of files, and suggest how to read one.",
        "verify": "Compare files with the database, row by row.",
    },
    "The fleet": {
        "gpus": "Show each GPU, and what was read of it last.",
        "top": "Show the fleet live in a terminal, ordered by keys.",
        "health": "Show GPUs that are ill or silent, why, and what to do.",
        "events": "Show what happened to GPUs, and go on as it happens.",
        "usage": "Show who used how much: GPU-hours, idle hours, energy, cost.",
    },
    "The pipeline": {
        "status": "Show edges, sources, queue, workers and rates.",
        "sources": "Show each source, and what to do about it.",
        "doctor": "Check whether this machine can work with broker and database, and say how to mend it.",
        "trial": "Send a marked batch from this edge, and wait for its commit.",
    },
    "What went wrong": {
        "deadletter": "Look at messages that could not be stored, retry them, or drop them.",
        "quarantine": "Look at rows that could not be read, write them to a file, or read them again.",
        "audit": "Show whether samples are gone that were stored, or accept that they are.",
        "rewind": "Set the edges back to what the ledger of a restored database holds.",
        "forget": "Forget sources that are of no interest any more.",
    },
    "Who may do what": {
        "edge": "Give edges their credentials, rotate them, and take them away.",
        "broker": "Show or make the broker's users.",
        "apikey": "Create, list and revoke keys of the API.",
    },
    "Machines and clusters": {
        "plan": "Say how many brokers, collectors, CPUs, GiB and GB a fleet needs.",
        "deploy": "Deploy the chart to one Kubernetes cluster or many.",
        "systemd": "Write systemd units for an edge.",
        "exporter": "Serve metrics of queue, sources, ledger and database.",
    },
    "The database": {
        "db": "Upgrade the database's schema, or change what makes a series.",
        "archive": "Write sealed days as Parquet files, for ever, and check them.",
        "psql": "Open a session of psql in the database.",
    },
}
COMMANDS = {name: says for group in GROUPS.values() for name, says in group.items()}
# redis-py imports this where it is installed, which takes 0.05 s, and no command has it count anything.
UNUSED = "opentelemetry"


class Commands(click.Group):
    """Subcommands by name, imported late."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = _imported(f"telemetry.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("telemetry"):
                raise
            extra = {"deploy": "[deploy]", "up": "[central] or [local]"}.get(cmd_name, "[central]")
            raise click.ClickException(
                f"`telemetry {cmd_name}` needs {error.name}; install telemetry-pipeline{extra}"
            ) from None
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with. A name that is misspelt is answered with the nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            nearest = get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"there is no command {name!r}; {f'did you mean {nearest[0]!r}?' if nearest else 'see telemetry --help'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by group, without importing any."""
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), says) for name, says in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A setting that cannot be used, or is misspelt, is reported in one line."""
        tell_misspelt()
        algebra.use_one_thread()
        descriptors.raise_limit()
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None


def _imported(name: str) -> ModuleType:
    """A module. What imports make is no garbage, and to look for some in between takes a fifth of their time."""
    gc.disable()
    # An entry of None makes the import fail, as where it is not installed.
    sys.modules.setdefault(UNUSED, None)  # type: ignore[arg-type]
    try:
        return importlib.import_module(name)
    finally:
        if sys.modules[UNUSED] is None:
            del sys.modules[UNUSED]
        gc.freeze()
        gc.enable()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(telemetry.__version__, prog_name="telemetry")
@data_dir_option(expose_value=False)
def main() -> None:
    """GPU telemetry from CSV files to Postgres, every reading stored once.

    `telemetry up` runs everything on one machine. The other commands find what it runs through its data directory
    (.telemetry here, or --data-dir), unless TELEMETRY_DATABASE_URL and TELEMETRY_BROKER_URL name others.
    """

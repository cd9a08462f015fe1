"""What the docs list is what there is: keys and queues, commands, reasons of quarantine."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from telemetry import celery
from telemetry.cli import COMMANDS, main
from telemetry.progress import keys
from telemetry.readings import wire
from telemetry.readings.rows import REASONS
from telemetry.settings import Settings

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "docs" / "MESSAGE_QUEUE_DESIGN.md").read_text()
WIRE = str(celery.__doc__)
KOMBU = [
    "_kombu.binding.{exchange}",
    "_kombu.binding_permanent.{exchange}",
    "_kombu.binding_deadlines",
    "{id}.reply.celery.pidbox",
]
SAMPLE = Settings.load({"TELEMETRY_EDGE": "cluster/node"})


def every_key() -> list[str]:
    made = keys.Keys("telemetry")
    names = [made.sources("{edge}"), made.source("{edge}", "{id}"), made.acks("{edge}", "{id}")]
    names += [made.streamers("{edge}"), made.lost("{edge}"), made.expected()]
    names += [made.attempts("{id}"), made.edges(), made.epoch(), made.rates()]
    names += made.unacked("{owner}").values()
    return [*names, "telemetry.ingest", "telemetry.tick.{edge}"]


@pytest.mark.parametrize("name", [*every_key(), *KOMBU])
def test_each_key_stands_in_both_tables(name: str) -> None:
    assert f"| `{name}` |" in DESIGN or f"`{name}`, " in DESIGN or f", `{name}`" in DESIGN
    assert f"| `{name.replace('telemetry', '{p}', 1)}` |" in WIRE


def test_no_other_key_is_listed() -> None:
    known = {*every_key(), *KOMBU}
    listed = set(re.findall(r"`(telemetry[.:][^`]+)`", DESIGN)) - {"telemetry.ingest"}
    assert {name for name in listed if "{" in name or ":" in name} <= known
    assert {name.replace("{p}", "telemetry") for name in re.findall(r"(?m)^\| `([^`]+)` \|", WIRE)} == known


def test_queues_tasks_and_the_message_stand_in_the_wire_dictionary() -> None:
    for name in (celery.PERSIST, celery.TICK):
        assert name in WIRE
    for queue in (SAMPLE.ingest_queue, SAMPLE.tick_queue.replace("cluster/node", "{edge}")):
        assert f"`{queue.replace('telemetry', '{p}', 1)}`" in WIRE
    assert f"message version {wire.VERSION}" in WIRE
    for name in (*wire.HEADER, "signature"):
        assert f"`{name}`" in WIRE
    assert celery.app.conf.beat_schedule == {}


def test_each_reason_stands_in_the_grammar() -> None:
    grammar = (ROOT / "docs" / "RECORDS.md").read_text()
    for reason in REASONS:
        assert reason in {"", "blank"} or f"`{reason}`" in grammar


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_a_module(command: str) -> None:
    module = importlib.import_module(f"telemetry.cli.{command}")
    assert isinstance(getattr(module, command), click.Command)
    assert f"`telemetry {command}" in str(module.__doc__)
    for name, leaf in leaves(command):
        assert leaf.help, f"telemetry {command} {name} has no help"


def test_help_lists_each_command_with_its_line() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    for command, line in COMMANDS.items():
        assert re.search(rf"(?m)^  {command} +{re.escape(line[:30])}", shown.output)


def test_make_run_goes_on_after_one_that_was_interrupted() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "run", "INSTALLED="], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(r"simulate .*--force .*-o \S+\.new", made.stdout)


def test_what_prints_results_prints_them_for_programs_too() -> None:
    found = {
        f"{name} {leaf}".strip(): {parameter.name for parameter in command.params}
        for name in COMMANDS
        for leaf, command in leaves(name)
    }
    silent = {"up", "exporter", "systemd", "deadletter show"}
    assert {name for name, parameters in found.items() if "as_json" not in parameters} == silent


def leaves(name: str) -> list[tuple[str, click.Command]]:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return list(command.commands.items()) if isinstance(command, click.Group) else [("", command)]

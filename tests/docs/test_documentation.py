"""What the docs list is what there is: keys and queues, commands, reasons of quarantine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from telemetry import celery
from telemetry.cli import COMMANDS, main
from telemetry.progress import keys
from telemetry.readings import names, wire
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
    for name in (names.PERSIST, names.TICK):
        assert name in WIRE
    for queue in (SAMPLE.ingest_queue, SAMPLE.tick_queue.replace("cluster/node", "{edge}")):
        assert f"`{queue.replace('telemetry', '{p}', 1)}`" in WIRE
    assert f"message version {wire.VERSION}" in WIRE
    for name in (*wire.HEADER, "signature"):
        assert f"`{name}`" in WIRE
    assert celery.process_app().conf.beat_schedule == {}


def test_each_reason_stands_in_the_grammar() -> None:
    grammar = (ROOT / "docs" / "RECORDS.md").read_text()
    for reason in REASONS:
        assert reason in {"", "blank"} or f"`{reason}`" in grammar


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_a_module(command: str) -> None:
    assert (ROOT / "telemetry" / "cli" / f"{command}.py").exists()


def test_the_page_of_metrics_lists_those_there_are() -> None:
    code = [path.read_text() for part in ("monitoring", "exporter") for path in (ROOT / "telemetry" / part).rglob("*.py")]
    made = set(re.findall(r'"((?:cross_cluster|message_queue|telemetry)_[a-z_]+)",?\s*\n?\s*"[A-Z1]', "\n".join(code)))
    made |= set(re.findall(r'(?:single|keyed|gauge|by_edge|each)\(\s*"((?:telemetry)_[a-z_]+)"', "\n".join(code)))
    page = (ROOT / "docs" / "METRICS.md").read_text()
    listed = set(re.findall(r"`((?:cross_cluster|message_queue|telemetry)_[a-z_]+)`", page))
    assert len(made) > 40
    assert made == listed


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

"""What the docs list is what there is: keys and queues, commands, reasons of quarantine."""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from telemetry import celery
from telemetry.cli import COMMANDS, main
from telemetry.progress import keys
from telemetry.readings import names, wire
from telemetry.readings.rows import REASONS
from telemetry.settings import Settings

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "docs" / "MESSAGE_QUEUE_DESIGN.md").read_text()
SAMPLE = Settings.load({"TELEMETRY_EDGE": "cluster/node"})


def test_the_table_of_keys_is_made_from_their_declarations() -> None:
    shown = DESIGN.partition("<!-- keys -->\n")[2].partition("<!-- end of keys -->")[0]
    assert shown == keys.table(), "run scripts/document"


def test_each_key_is_declared_once_and_each_of_ours_has_a_writer_and_a_reader() -> None:
    declared = [key.name for key in keys.DECLARED]
    assert len(set(declared)) == len(declared)
    assert all(key.writers and key.readers for key in keys.DECLARED if key.name.startswith("{p}"))
    constants = [value for value in vars(keys).values() if isinstance(value, keys.Key)]
    assert sorted(key.name for key in constants) == sorted(declared)


def test_no_page_names_a_key_that_is_not_declared() -> None:
    declared = {key.name.replace("{p}", "telemetry") for key in keys.DECLARED}
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"`(telemetry[.:][a-z_]+[:.]\{[^`]+)`", pages)) | set(re.findall(r"`(telemetry:[a-z_]+)`", pages))
    assert named <= declared


def test_the_queues_of_the_settings_are_the_declared_ones() -> None:
    assert keys.INGEST.name.format(p=SAMPLE.key_prefix) == SAMPLE.ingest_queue
    assert keys.TICK.name.format(p=SAMPLE.key_prefix, edge=SAMPLE.edge) == SAMPLE.tick_queue


def test_the_tasks_and_the_fields_of_a_message_are_documented() -> None:
    assert all(name in str(celery.__doc__) for name in (names.PERSIST, names.TICK))
    about = str(wire.__doc__)
    assert f"version {wire.VERSION}" in about
    assert all(f"`{name}`" in about for name in (*wire.Header.__struct_fields__, "signature"))


def test_each_reason_stands_in_the_grammar() -> None:
    grammar = (ROOT / "docs" / "RECORDS.md").read_text()
    for reason in REASONS:
        assert reason in {"", "blank", "header"} or f"`{reason}`" in grammar


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
    silent = {"up", "exporter", "systemd", "psql", "deadletter show"}
    assert {name for name, parameters in found.items() if "as_json" not in parameters} == silent


def leaves(name: str) -> list[tuple[str, click.Command]]:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return [*parts("", command)]


def parts(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command without any of its own, or all those within it."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for inner, part in command.commands.items():
        yield from parts(f"{name} {inner}".strip(), part)

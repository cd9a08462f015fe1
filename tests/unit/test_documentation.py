"""What the docs list is what there is: keys and queues, commands, reasons of quarantine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from telemetry import celery, keys
from telemetry.cli import COMMANDS
from telemetry.readings.rows import REASONS
from telemetry.settings import Settings

ROOT = Path(__file__).parents[2]
DESIGN = (ROOT / "docs" / "MESSAGE_QUEUE_DESIGN.md").read_text()
SAMPLE = Settings.load({"TELEMETRY_EDGE": "cluster/node"})


def every_key() -> list[str]:
    made = keys.Keys("telemetry")
    names = [made.sources("{edge}"), made.source("{edge}", "{id}"), made.acks("{edge}", "{id}")]
    names += [made.streamers("{edge}"), made.lost("{edge}")]
    names += [made.edges(), made.epoch(), made.rates()]
    names += made.unacked("{owner}").values()
    return [*names, "telemetry.ingest", "telemetry.tick.{edge}"]


@pytest.mark.parametrize("name", every_key())
def test_each_key_stands_in_both_tables(name: str) -> None:
    assert f"`{name}`" in DESIGN
    assert f"`{name.replace('telemetry', '{p}', 1)}`" in str(keys.__doc__)


def test_no_other_key_is_listed() -> None:
    listed = set(re.findall(r"`(telemetry[.:][^`]+)`", DESIGN)) - {"telemetry.ingest"}
    assert {name for name in listed if "{" in name or ":" in name} <= set(every_key())


def test_queues_and_tasks_stand_in_the_wire_dictionary() -> None:
    told = str(celery.__doc__)
    for name in (celery.PERSIST, celery.TICK):
        assert name in told
    for queue in (SAMPLE.ingest_queue, SAMPLE.tick_queue.replace("cluster/node", "{edge}")):
        assert f"`{queue.replace('telemetry', '{p}', 1)}`" in told


def test_each_reason_stands_in_the_grammar() -> None:
    grammar = (ROOT / "docs" / "RECORDS.md").read_text()
    for reason in REASONS:
        assert reason in {"", "blank"} or f"`{reason}`" in grammar


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_a_module(command: str) -> None:
    assert (ROOT / "telemetry" / "cli" / f"{command}.py").exists()


def test_the_page_of_metrics_lists_those_there_are() -> None:
    code = [path.read_text() for part in ("monitoring", "exporter") for path in (ROOT / "telemetry" / part).glob("*.py")]
    made = set(re.findall(r'"((?:cross_cluster|message_queue|telemetry)_[a-z_]+)",?\s*\n?\s*"[A-Z1]', "\n".join(code)))
    made |= set(re.findall(r'(?:single|keyed|gauge|each)\(\s*"((?:telemetry)_[a-z_]+)"', "\n".join(code)))
    page = (ROOT / "docs" / "METRICS.md").read_text()
    listed = set(re.findall(r"`((?:cross_cluster|message_queue|telemetry)_[a-z_]+)`", page))
    assert len(made) > 40
    assert made == listed

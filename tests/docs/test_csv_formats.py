"""The examples of docs/CSV_FORMATS.md: each file is read as the page says, by settings as short as the page says."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from telemetry.formats.registry import FORMATS
from telemetry.settings import Settings
from telemetry.settings.sources_file import KEYS
from tests.formats.both import both
from tests.formats.reading import NODE

PAGE = (Path(__file__).parents[2] / "docs" / "CSV_FORMATS.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"\*\*([^*\n]+)\*\*[^\n]*\n\n```csv\n(.*?)```\n\n```toml\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
OF_FORMATS = dict(re.findall(r"Example of `([a-z-]+)`:\n\n```(?:csv|text)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
OF_TOOLS = {"dcgmi": "dcgmi-dmon", "rocm-smi": "rocm-smi", "xpu-smi": "xpu-smi", "scontrol": "slurm-jobs"}
# The examples without what the command of the page puts before each line, or above all.
PROGRAMS = {tool: re.sub(r"(?m)^(?:2026-\S+T\S+, |# scontrol.*\n)", "", OF_FORMATS[name]) for tool, name in OF_TOOLS.items()}
MOST_LINES = 12
# Where the paths of the examples lead, so that each says what its pattern looks for.
PATH = "/logs/node-7/run-20261105-100000.csv"


@pytest.mark.parametrize("name", [each.name for each in FORMATS if each.name != "mapped"])
def test_each_format_has_an_example_that_it_reads(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(OF_FORMATS[name])
    whole = both(file, NODE)
    assert (whole.format, whole.quarantined) == (name, []), whole.miss
    assert {each.ts_us // 1_000_000 for each in whole.readings} == {1_793_872_800}


@pytest.mark.parametrize(("title", "content", "said", "says"), EXAMPLES, ids=[title for title, *_ in EXAMPLES])
def test_an_example_is_read_as_the_page_says(tmp_path: Path, title: str, content: str, said: str, says: str) -> None:
    assert len(said.splitlines()) <= MOST_LINES, title
    file, sources = tmp_path / "a.csv", tmp_path / "sources.toml"
    file.write_bytes(content.encode("latin-1"))
    sources.write_text(re.sub(r"(?m)^path = .*$", 'path = "*"', said))
    whole = both(file, Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(sources)}).of_source(PATH))
    assert whole.format == "mapped", whole.miss
    assert [f"{shown(each.ts_us)} {each.gpu} {each.metric} {each.value:g}" for each in whole.readings] == says.splitlines()
    assert whole.quarantined == []


def test_what_a_file_does_not_say_can_be_said_as_the_page_says(tmp_path: Path) -> None:
    (text,) = [block for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if block.count("[[source]]") > 1]
    (tmp_path / "sources.toml").write_text(text)
    settings = Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(tmp_path / "sources.toml")})
    first, other = settings.of_source("/var/log/gpu/n1/smi.csv"), settings.of_source("/else.csv")
    assert (first.time_zone, first.host) == ("Europe/Berlin", "n1")
    assert (other.host, other.gpu_index, other.labels) == ("node-7", 0, (("rack", "r1"),))


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("telemetry ")])
def test_a_command_of_ours_takes_these_options(line: str) -> None:
    _, name, *options = shlex.split(line, comments=True)
    command = getattr(importlib.import_module(f"telemetry.cli.{name}"), name)
    command.make_context(name, options)


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("telemetry ")])
def test_what_a_command_of_the_page_logs_is_read(tmp_path: Path, line: str) -> None:
    """With programs of the tools' names that print what the examples hold, and a `ts` as that of moreutils."""
    for name, lines in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{lines}END\n")
    (tmp_path / "ts").write_text('#!/bin/sh\nwhile IFS= read -r line; do echo "$(date +"$1") $line"; done\n')
    # A loop turns once.
    (tmp_path / "sleep").write_text("#!/bin/sh\nmkdir $(dirname $0)/slept 2>/dev/null\n")
    for name in (*PROGRAMS, "ts", "sleep"):
        (tmp_path / name).chmod(0o755)
    script = re.sub(r"/(?:var/log/gpu|spool)/", f"{tmp_path}/logged-", line)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TZ": "UTC"}
    subprocess.run(["sh", "-eu", "-c", script], env=path, check=True, timeout=60)
    (file,) = tmp_path.glob("logged-*")
    whole = both(file, NODE)
    tool = next(name for name in PROGRAMS if name in line)
    assert whole.format == OF_TOOLS[tool], whole.miss
    assert whole.readings
    assert whole.quarantined == []


def shown(ts_us: int) -> str:
    """A time as the page has it."""
    text = datetime.fromtimestamp(ts_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{ts_us % 1_000_000:06}".rstrip("0.")
    return f"{text}{fraction}Z"


def test_the_examples_are_those_that_people_have() -> None:
    assert len(EXAMPLES) >= 13


def test_each_key_of_a_source_stands_on_the_page() -> None:
    for key in KEYS:
        assert f"`{key}`" in PAGE, f"docs/CSV_FORMATS.md does not explain {key}"


def test_each_format_stands_on_the_page() -> None:
    for each in FORMATS:
        assert f"| `{each.name}` |" in PAGE, f"docs/CSV_FORMATS.md does not list {each.name}"

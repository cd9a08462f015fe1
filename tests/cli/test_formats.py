"""`telemetry formats`: the list, and a suggestion, for people and for programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from telemetry.cli import main
from telemetry.formats.registry import FORMATS

CONTENT = "timestamp,gpu,power.draw\n2026-11-05 10:00:00,0,301.2\n"


def test_each_format_says_how_it_is_known_and_what_it_needs() -> None:
    shown = CliRunner().invoke(main, ["formats"])
    assert shown.exit_code == 0
    listed = json.loads(CliRunner().invoke(main, ["formats", "--json"]).output)
    assert [each["name"] for each in listed] == [each.name for each in FORMATS]
    for each in listed:
        assert each["known_by"], f"{each['name']} does not say how it is recognised"
        assert all(part in shown.output for part in (each["name"], each["known_by"], each["needs"]))


def test_a_suggestion_has_its_questions_apart(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(CONTENT)
    told = CliRunner().invoke(main, ["formats", "suggest", str(file)])
    assert (told.exit_code, told.stdout.partition("\n")[0]) == (0, "[[source]]")
    assert "2 questions to answer" in told.stderr
    document = json.loads(CliRunner().invoke(main, ["formats", "suggest", "--json", str(file)]).output)
    assert document["toml"] == told.stdout
    assert document["path"] == str(file)
    assert [question.partition("?")[0] for question in document["questions"]] == [
        "In which zone was its clock",
        "Of which host is it",
    ]


def test_a_suggestion_whose_questions_are_answered_stores_the_file(
    start_collector: Callable[[], object], telemetry: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    file, said = tmp_path / "a.csv", tmp_path / "sources.toml"
    file.write_text(CONTENT)
    start_collector()
    before = telemetry("ingest", "--final", "--timeout", "60", file)
    assert before.returncode == 1
    assert "`telemetry formats suggest FILE` says how to read it" in before.stdout + before.stderr
    toml = json.loads(telemetry("formats", "suggest", "--json", file).stdout)["toml"]
    said.write_text(toml.replace('# time_zone = "Area/City"', 'time_zone = "UTC"').replace('# host = ""', 'host = "n"'))
    again = telemetry("ingest", "--final", "--timeout", "60", file, TELEMETRY_SOURCE_SETTINGS=str(said))
    assert again.returncode == 0, again.stderr
    verified = telemetry("verify", "--json", file, TELEMETRY_SOURCE_SETTINGS=str(said))
    counts = json.loads(verified.stdout)
    assert (verified.returncode, counts["read"], counts["stored"], counts["extra"]) == (0, 1, 1, 0)


def test_it_says_why_it_has_none(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("device,power\ncard0,301\n")
    told = CliRunner().invoke(main, ["formats", "suggest", str(file)])
    assert told.exit_code == 1
    assert f"{file}: it has no column with a time" in told.stderr

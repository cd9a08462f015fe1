"""The file that says of sources what their bytes do not: each mistake in it stops the process with the place and the mend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telemetry.readings.source_settings import NO_SETTINGS, SourceSettings
from telemetry.settings import Settings, SettingsError

GOOD = """
[[source]]
path = "/logs/*/gpu.csv"
time_zone = "Europe/Berlin"
host_from_path = '/logs/([^/]+)/'
labels = { rack = "r1", site = "a" }

[[source]]
path = "*.csv"
time_zone = "UTC"
host = "node"
gpu_index = 0
header = "timestamp, utilization.gpu"
"""


def load(path: Path, text: str) -> Settings:
    """The settings with a file of this text."""
    path.write_text(text)
    return Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(path)})


def test_the_first_pattern_that_matches_says_it(tmp_path: Path) -> None:
    settings = load(tmp_path / "sources.toml", GOOD)
    assert settings.of_source("/logs/node-7/gpu.csv") == SourceSettings(
        "Europe/Berlin", "node-7", None, "", (("rack", "r1"), ("site", "a"))
    )
    assert settings.of_source("/logs/a/b/c.csv") == SourceSettings("UTC", "node", 0, "timestamp, utilization.gpu")
    assert settings.of_source("/logs/a.txt") == NO_SETTINGS
    node = load(tmp_path / "node.toml", "[[source]]\npath = '*'\nhost = '{node}.lan'")
    assert replace(node, edge="lab/node-9").of_source("/a.csv").host == "node-9.lan"
    assert Settings().of_source("/logs/a.csv") == NO_SETTINGS


def test_a_date_stands_in_a_table_or_in_the_path(tmp_path: Path) -> None:
    for given in ("'2026-11-05'", "'20261105'", "2026-11-05"):
        settings = load(tmp_path / "a.toml", f"[[source]]\npath = '*'\ndate = {given}")
        assert settings.of_source("/logs/a.csv") == SourceSettings(date="2026-11-05")
    settings = load(tmp_path / "b.toml", "[[source]]\npath = '*'\ndate_from_path = 'dmon-([0-9-]+)'")
    for name, day in (("dmon-20261105.txt", "2026-11-05"), ("dmon-2026-11-05.txt", "2026-11-05"), ("dmon-20261399", "")):
        assert settings.of_source(f"/logs/{name}") == SourceSettings(date=day)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[source]]", "source 1: it has no path, the pattern of the files it is about"),
        ("[[source]]\npath = ''", "source 1: path must be a text that is not empty"),
        (
            "[[source]]\npath = '*'\n[[source]]\npath = '*'\nzone = 'UTC'",
            "sources.toml, line 5, source 2: unknown key 'zone'; the keys are path, ",
        ),
        ("[[source]]\npath = '*'\ntime_zone = 'CET/Berlin'", "time_zone 'CET/Berlin' is no zone of the IANA database"),
        ("[[source]]\npath = '*'\ntime_zone = '../etc/passwd'", "is no zone of the IANA database"),
        ("[[source]]\npath = '*'\ngpu_index = -1", "gpu_index must be a whole number from 0 on"),
        ("[[source]]\npath = '*'\nkeep_exporter = 'yes'", "keep_exporter must be true or false"),
        ("[[source]]\npath = '*'\ngpu_index = true", "gpu_index must be a whole number from 0 on"),
        ("[[source]]\npath = '*'\nhost_from_path = '('", "host_from_path is no regular expression"),
        ("[[source]]\npath = '*'\nhost_from_path = 'a'", "host_from_path must have one group"),
        ("[[source]]\npath = '*'\ndate_from_path = 'a'", "date_from_path must have one group"),
        ("[[source]]\npath = '*'\ndate = '5 Nov'", "date '5 Nov' is no date such as 2026-11-05"),
        ("[[source]]\npath = '*'\ndate = 2026-11-05T10:00:00", "is no date such as"),
        ("[[source]]\npath = '*'\nlabels = ['a']", "labels must be a table of texts"),
        ("[source]\npath = '*'", "may have tables [[source]] alone"),
        ("[[sources]]\npath = '*'", "may have tables [[source]] alone, not sources"),
        ("[[source", "is not TOML"),
        ("a = " + 5000 * "[", "nested too deeply"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path / "sources.toml", text)
    assert "TELEMETRY_SOURCE_SETTINGS" in str(raised.value)
    assert says in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read: No such file"):
        Settings.load({"TELEMETRY_SOURCE_SETTINGS": str(tmp_path / "none.toml")})

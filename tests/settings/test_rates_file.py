"""The file of rates: what it says, and what is told of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry.readings.rates import Rates
from telemetry.settings import Settings, SettingsError


def load(path: Path, text: str) -> Rates | None:
    path.write_text(text)
    return Settings.load({"TELEMETRY_RATES": str(path)}).rates


def test_rates_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    text = 'currency = "EUR"\nkwh = 0.28\ngpu_hour = 1\n[model]\n"NVIDIA H100 80GB HBM3" = 2.5\n'
    assert load(path, text) == Rates("EUR", (("NVIDIA H100 80GB HBM3", 2.5),), 1.0, 0.28)
    assert load(path, 'currency = "$"') == Rates("$")
    assert Settings.load({"TELEMETRY_RATES": " "}).rates is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kwh = 1", "must say a currency"),
        ('currency = "EUR"\nkwhs = 1', "unknown key 'kwhs'"),
        ('currency = "EUR"\nkwh = -1', "'kwh' must be a number from 0 on"),
        ('currency = "EUR"\n[model]\nA100 = "2"', "'A100' must be a number from 0 on"),
        ('currency = "EUR"\nmodel = 1', "model must be a table"),
        ("currency =", "is not TOML"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match="TELEMETRY_RATES") as error:
        load(tmp_path / "rates.toml", text)
    assert says in str(error.value)


def test_bands_are_those_that_upkeep_counts(tmp_path: Path) -> None:
    assert Settings.load({"TELEMETRY_IDLE_BELOW_PERCENT": "10"}).idle_below_percent == 10
    with pytest.raises(SettingsError, match="one of: 1, 5, 10, 15, 25, 50"):
        Settings.load({"TELEMETRY_IDLE_BELOW_PERCENT": "7"})
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load({"TELEMETRY_RATES": str(tmp_path / "none.toml")})

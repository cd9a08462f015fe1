"""`telemetry plan`: the model grows with the fleet, agrees with what was measured, and says on what it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.cli.sizing import Fleet, plan

EDGES, ROWS = st.integers(1, 100_000), st.floats(0.01, 1e7)


@given(EDGES, ROWS, st.integers(1, 3650))
def test_more_never_needs_less(edges: int, rows_per_s: float, days: int) -> None:
    one, faster, longer = (plan(Fleet(edges, rows_per_s * factor, days * more)) for factor, more in ((1, 1), (2, 1), (1, 2)))
    larger = plan(Fleet(2 * edges, 2 * rows_per_s, days))
    for other in (faster, larger):
        assert other.brokers >= one.brokers >= 1
        assert other.collectors >= one.collectors >= max(2, one.brokers)
        assert other.postgres_cpus > one.postgres_cpus
        assert other.disk_gb > one.disk_gb
    assert longer.disk_gb > one.disk_gb
    assert longer.gb_a_year == one.gb_a_year


def test_it_agrees_with_the_fleet_that_was_measured() -> None:
    """A thousand edges of 100 rows a second: one broker, and all of it ran on two cores at 100 % of them."""
    measured = plan(Fleet(1000, 100_000, 1))
    assert measured.brokers == 1
    used = 0.6 * measured.broker_cpus + 0.5 * (measured.collector_cpus + measured.postgres_cpus)
    assert 0.6 < used < 2


def test_it_agrees_with_the_page() -> None:
    """docs/DEPLOYMENT_STRATEGY.md: 1,000 edges of 40 rows a second."""
    page = plan(Fleet(1000, 40_000, 365))
    assert page.broker_gib * 2**30 == pytest.approx(1.8e9, rel=0.1)
    assert page.gb_a_year / 365 == pytest.approx(328, rel=0.01)


def test_sealing_saves_most_of_the_disk() -> None:
    rows, sealed = plan(Fleet(100, 4000, 365)), plan(Fleet(100, 4000, 365, seal_after_days=7))
    assert sealed.gb_a_year < rows.gb_a_year / 20
    assert plan(Fleet(100, 4000, 5, seal_after_days=7)).disk_gb == plan(Fleet(100, 4000, 5)).disk_gb


def test_the_command(telemetry: Callable[..., CompletedProcess[str]]) -> None:
    told = telemetry("plan", "--edges", "10000", "--rows-per-second", "100000", "--seal-after", "7")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("broker      ")
    assert "This assumes:" in told.stdout
    document = json.loads(telemetry("plan", "--edges", "10", "--rows-per-second", "400", "--json").stdout)
    assert (document["brokers"], document["collectors"]) == (1, 2)
    assert document["assumptions"]
    assert telemetry("plan", "--edges", "0", "--rows-per-second", "1").returncode == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rows-per-second", "nan"), ("--rows-per-second", "inf"), ("--rows-per-second", "0"), ("--series", "1" * 40)],
)
def test_figures_that_no_fleet_has_are_refused_in_words(
    telemetry: Callable[..., CompletedProcess[str]], option: str, value: str
) -> None:
    sent = {"--edges": "10", "--rows-per-second": "400", option: value}
    refusal = telemetry("plan", *(word for pair in sent.items() for word in pair))
    assert refusal.returncode == 2
    assert f"Invalid value for '{option}'" in refusal.stderr

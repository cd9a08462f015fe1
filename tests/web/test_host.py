"""The page of one host."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from telemetry.readings import owners
from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_a_host_shows_its_gpus_now_and_over_time(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".host h3").get_by_role("link", name="a").click()
    expect(page.locator("h1")).to_have_text("a")
    rows = page.locator("#gpus tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("team/train-1")
    expect(rows.nth(0)).to_contain_text("90 %")
    chart = page.locator("canvas").first
    expect(chart).to_have_attribute(
        "aria-label", re.compile("gpu utilisation: a:0 90 % to 90 %, last 90 %; a:1 2 % to 2 %, last 2 %")
    )
    expect(page.locator("#lines li")).to_have_text(["a:0", "a:1"])
    page.get_by_role("link", name="What happened here").click()
    expect(page.get_by_label("Host")).to_have_value("a")


def test_the_newest_owner_is_shown_whatever_its_labels_are_called(page: Page, address: str, store: Store) -> None:
    exporter = {"namespace": "gpu-operator", "pod": "exporter"}
    store("FB_USED", "b", 0, 40.0, 200, namespace="team", pod="older")
    store("POWER_USAGE", "b", 0, 50.0, 30, exported_namespace="team", exported_pod="newer", **exporter)
    page.goto(f"{address}/hosts/b")
    row = page.locator("#gpus tbody tr").first
    expect(row).to_contain_text("team/newer")
    store("POWER_USAGE", "b", 0, 50.0, 0, slurm_user="ann", slurm_job_id="7")
    expect(row.get_by_role("link", name="ann/job 7")).to_have_attribute("href", "/job#job=7&user=ann")
    page.goto(f"{address}/#metric=DCGM_FI_DEV_POWER_USAGE")
    expect(page.locator("[data-gpu=GPU-b-0]")).to_have_attribute("aria-label", re.compile("held by ann/job 7"))


def test_the_page_and_the_centre_know_the_same_labels_of_an_owner(page: Page, address: str) -> None:
    page.goto(address)
    told = page.evaluate(
        "async () => (await import(document.querySelector('script[type=module]').src.replace(/[^/]*$/, 'words.js'))).PARTS"
    )
    assert told == {part: list(labels) for part, labels in owners.PARTS.items()}


@pytest.mark.refused(404)
def test_an_unknown_host_is_named(page: Page, address: str) -> None:
    page.goto(f"{address}/hosts/nowhere")
    expect(page.locator("#trouble")).to_contain_text("nowhere")

"""The page of one host."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

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
    expect(chart).to_have_attribute("aria-label", re.compile("gpu util: a:0 90 % to 90 %, last 90 %; a:1 2 % to 2 %, last 2 %"))
    expect(page.locator("#lines li")).to_have_text(["a:0", "a:1"])
    page.get_by_role("link", name="What happened here").click()
    expect(page.get_by_label("Host")).to_have_value("a")


@pytest.mark.refused(404)
def test_an_unknown_host_is_named(page: Page, address: str) -> None:
    page.goto(f"{address}/hosts/nowhere")
    expect(page.locator("#trouble")).to_contain_text("nowhere")

"""Pages of a system that has stored nothing say what to do next."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def test_an_empty_system_says_how_to_send_a_reading(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#grid")).to_contain_text("telemetry ingest FILE.csv")
    page.get_by_role("link", name="Pipeline").click()
    expect(page.locator("#edges")).to_contain_text("No edge has sent anything yet.")
    expect(page.locator("#parts")).to_contain_text("database")

"""The page of the pipeline, while readings come and servers go."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_it_shows_servers_edges_and_sources_and_follows_them(page: Page, address: str, store: Store) -> None:
    page.goto(f"{address}/pipeline")
    expect(page.locator("#parts tbody tr")).to_have_count(2)
    expect(page.locator("#parts tbody")).not_to_contain_text("unreachable")
    expect(page.locator("#edges tbody")).to_contain_text("test/node")
    expect(page.locator("#sources tbody")).to_contain_text("/data/a.csv")
    samples = page.locator("#numbers > div").first
    expect(samples).to_contain_text("Samples20")
    store("GPU_UTIL", "a", 0, 3.0, 1)
    expect(samples).to_contain_text("Samples21")

"""Each view is within everybody's reach: in both themes, on a phone, a desk and a wall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.usefixtures("fleet")

VIEWS = {
    "/": ".cell",
    "/gpus/GPU-a-0#with=GPU-a-1,GPU-b-0": "#lines li",
    "/hosts/a": "canvas",
    "/owners": "#usage td:nth-child(2)",
    "/job#pod=train-1&namespace=team": "canvas",
    "/events": "#events td:nth-child(2)",
    "/pipeline": "#edges td:nth-child(2)",
    "/data": "#files",
    "/login": "[name=key]",
}
WIDTHS = (360, 1280, 3840)


@pytest.fixture(params=["light", "dark"])
def themed(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a theme. axe's script runs beside the page's own policy."""
    theme: Literal["light", "dark"] = request.param
    context = browser.new_context(color_scheme=theme, bypass_csp=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("path", VIEWS)
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(themed: Page, address: str, path: str) -> None:
    for width in WIDTHS:
        themed.set_viewport_size({"width": width, "height": 900})
        themed.goto(f"{address}{path}")
        expect(themed.locator(VIEWS[path]).first).to_be_visible()
        found = Axe().run(themed)
        serious = [each for each in found.response["violations"] if each["impact"] in {"serious", "critical"}]
        assert not serious, found.generate_report()
        assert themed.evaluate("document.documentElement.scrollWidth") <= width

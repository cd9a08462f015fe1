"""The page of events, and what the page of a GPU shows of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_events_are_listed_filtered_and_live(page: Page, address: str, store: Store, judge: Callable[[], None]) -> None:
    page.goto(f"{address}/events#kind=xid")
    rows = page.locator("#events tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("b:0")
    expect(rows.first).to_contain_text("XID 79: GPU has fallen off the bus begins")
    store("XID_ERRORS", "b", 0, 0.0)
    judge()
    expect(rows).to_have_count(2)
    page.get_by_label("Kind").select_option("all")
    page.get_by_label("Find").fill("train-1 begins")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("team/train-1 begins")
    page.reload()
    expect(rows).to_have_count(1)


@pytest.mark.refused(404)
def test_events_are_those_of_a_host_or_a_gpu(page: Page, address: str) -> None:
    page.goto(f"{address}/events")
    rows = page.locator("#events tbody tr")
    expect(rows.filter(has_text="train-1 begins")).to_have_count(1)
    page.get_by_label("Host").select_option("b")
    expect(rows.filter(has_text="train-1 begins")).to_have_count(0)
    expect(rows.filter(has_text="XID 79")).to_have_count(1)
    page.get_by_label("GPU").fill("b:1")
    page.get_by_label("GPU").press("Enter")
    expect(rows.filter(has_text="XID 79")).to_have_count(0)
    expect(rows.filter(has_text="b:1").first).to_be_visible()
    expect(page).to_have_url(f"{address}/events#host=b&gpu=b%3A1")
    page.get_by_label("GPU").fill("nowhere")
    page.get_by_label("GPU").press("Enter")
    expect(page.locator("#trouble")).to_contain_text("nowhere")


def test_the_page_of_a_gpu_says_how_it_is_and_marks_what_happened(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-b-0#span=15m")
    expect(page.locator("#state")).to_have_text(re.compile(r"^faulty for \d+ (s|min)$"))
    expect(page.locator("#state")).to_have_class("bad")
    expect(page.locator("#reasons tbody tr")).to_contain_text("restart the machine")
    expect(page.locator("#events tbody tr").first).to_contain_text("XID 79")
    expect(page.locator("#zoom")).to_contain_text("2 events, marked red")


def test_no_old_rows_stand_under_a_new_choice(page: Page, address: str) -> None:
    page.goto(f"{address}/events#kind=xid")
    rows = page.locator("#events tbody tr")
    expect(rows).to_contain_text("XID 79")
    page.route("**/api/v1/events?*", lambda _: None)
    page.get_by_label("Kind").select_option("allocation")
    expect(rows).to_have_text("Loading…")
    expect(page.locator("#events")).to_have_attribute("aria-busy", "true")
    # An answer to the choice before comes late.
    page.get_by_label("Kind").select_option("xid")
    # What was held goes on.
    page.unroute("**/api/v1/events?*")
    expect(rows).to_contain_text("XID 79")
    expect(page.locator("#events")).not_to_have_attribute("aria-busy", "true")


def test_on_a_phone_a_row_is_a_card_that_says_all(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"{address}/events#kind=health")
    row = page.locator("#events tbody tr", has_text="b:0").first
    cells = row.locator("td")
    expect(cells.first).to_have_attribute("data-head", "GPU")
    boxes = [cells.nth(place).bounding_box() for place in range(4)]
    assert all(box and box["x"] + box["width"] <= 360 for box in boxes)
    # The cell of an owner that nobody is takes no place.
    expect(cells.last).to_be_hidden()

"""The page of the fleet: what it says at a glance, what it shows of each GPU, and that its address is the view."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.batches import now_s
from tests.waiting import eventually
from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_five_numbers_tell_how_the_fleet_is(page: Page, address: str) -> None:
    page.goto(address)
    numbers = page.locator("#numbers > div")
    expect(numbers).to_have_count(5)
    for place, words in enumerate(("Reporting3 of 4", "Well50 %", "Held1", "Fresh", "Faults1")):
        expect(numbers.nth(place)).to_contain_text(words)
    expect(numbers.nth(2)).to_contain_text("1 of them idle")


def test_what_needs_attention_comes_with_what_to_do(page: Page, address: str) -> None:
    page.goto(address)
    rows = page.locator("#attention tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("b:0")
    expect(rows.nth(0)).to_contain_text("faultyXID 79")
    expect(rows.nth(0)).to_contain_text("restart the machine")
    expect(rows.nth(1)).to_contain_text("b:1")
    expect(rows.nth(1)).to_contain_text("missing: its host reports")
    rows.nth(0).get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("b:0")


def test_an_error_of_an_application_is_worth_a_look_and_no_fault_of_the_gpu(
    page: Page, address: str, store: Store, judge: Callable[[], None]
) -> None:
    store("XID_ERRORS", "a", 0, 31.0)
    judge()
    page.goto(address)
    expect(page.locator("#attention tbody tr")).to_have_count(3)
    expect(page.locator("#attention tbody tr").last).to_contain_text("XID 31: memory page fault")
    expect(page.locator("#numbers > div").last).to_contain_text("Faults1")


def test_each_gpu_is_a_cell_that_tells_its_state_without_colour(page: Page, address: str) -> None:
    page.goto(address)
    for name, words in {
        "a:0": "gpu utilisation 90 %",
        "a:1": "held by team/train-1",
        "b:0": "XID 79",
        # Its last reading is known to the minute.
        "b:1": "silent, last reading ",
    }.items():
        cell = page.get_by_role("link", name=re.compile(f"^{name} · "))
        expect(cell).to_have_attribute("aria-label", re.compile(re.escape(words)))
    page.get_by_role("link", name=re.compile("^a:0 · ")).focus()
    expect(page.locator("#about")).to_contain_text("a:0 · H100 · gpu utilisation 90 %")
    assert page.locator(".host h3").all_text_contents() == ["a", "b"]


def test_a_new_reading_changes_its_cell(page: Page, address: str, store: Store) -> None:
    page.goto(address)
    cell = page.get_by_role("link", name=re.compile("^a:0 · "))
    expect(cell).to_have_class("cell c7")
    store("GPU_UTIL", "a", 0, 3.0)
    expect(cell).to_have_class("cell c0")


def test_the_address_is_the_view(page: Page, address: str) -> None:
    page.goto(address)
    cells = page.locator(".cell")
    expect(cells).to_have_count(4)
    page.get_by_label("Show").select_option("held and idle")
    expect(cells).to_have_count(1)
    page.get_by_label("Show").select_option("all")
    page.get_by_label("Find").fill("b team")
    expect(cells).to_have_count(0)
    page.get_by_label("Find").fill("b")
    page.get_by_label("Colour").select_option("gpu temperature")
    expect(cells).to_have_count(2)
    expect(cells.first).to_have_attribute("aria-label", re.compile("gpu temperature 53.8"))
    page.goto(page.url)
    page.reload()
    expect(cells).to_have_count(2)
    expect(page.get_by_label("Colour")).to_have_value("DCGM_FI_DEV_GPU_TEMP")


def test_highest_first_sorts_with_a_silent_gpu_among_them(page: Page, address: str) -> None:
    page.goto(f"{address}#sort=high")
    # The cells are there before their values.
    expect(page.locator(".cell")).to_have_text(["a:0 90 %", "! b:0 55 %", "a:1 2 %", "b:1 silent"])


def test_a_gpu_that_reports_only_other_metrics_is_not_silent(page: Page, address: str, store: Store) -> None:
    store("POWER_USAGE", "c", 0, 70.0)
    page.goto(address)
    expect(page.locator("#numbers > div").first).to_contain_text("4 of 5")
    expect(page.locator("#attention tbody")).not_to_contain_text("c:0")


def test_silence_is_graver_than_an_old_error_of_an_application(
    page: Page, address: str, store: Store, judge: Callable[[], None]
) -> None:
    store("XID_ERRORS", "b", 1, 13.0, 3600)
    judge()
    page.goto(address)
    expect(page.locator("#attention tbody tr").nth(1)).to_contain_text("b:1silent")


def test_a_gpu_is_shown_as_a_whole_and_not_as_one_of_its_instances(page: Page, address: str, store: Store) -> None:
    store("GPU_UTIL", "c", 0, 95.0, 5)
    for instance, value in (("1", 1.0), ("2", 2.0)):
        store("GPU_UTIL", "c", 0, value, 5, GPU_I_ID=instance)
    page.goto(address)
    expect(page.get_by_role("link", name=re.compile("^c:0 · "))).to_have_attribute(
        "aria-label", re.compile("gpu utilisation 95 %")
    )
    page.goto(f"{address}/gpus/GPU-c-0#span=15m")
    expect(page.locator("canvas").first).to_have_attribute("aria-label", re.compile("95 % to 95 %"))


def test_what_has_the_focus_keeps_it_while_data_flows(page: Page, address: str, store: Store) -> None:
    page.goto(address)
    link = page.locator("#attention a").first
    link.focus()
    store("GPU_UTIL", "a", 0, 3.0)
    expect(page.get_by_role("link", name=re.compile("^a:0 · "))).to_have_class("cell c0")
    expect(link).to_be_focused()


def test_a_cell_stays_under_the_pointer_whatever_is_told_of_it(page: Page, address: str) -> None:
    # The text takes several lines.
    page.set_viewport_size({"width": 320, "height": 2000})
    page.goto(address)
    cell = page.get_by_role("link", name=re.compile("^b:0 · "))
    expect(cell).to_have_class(re.compile("fault"))
    before = cell.bounding_box()
    cell.hover()
    expect(page.locator("#about")).to_contain_text("XID 79")
    assert cell.bounding_box() == before
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("h1")).to_have_text("b:0")


def test_the_order_rests_while_somebody_points_at_the_map(page: Page, address: str, store: Store) -> None:
    page.goto(f"{address}#sort=high")
    cells = page.locator(".cell")
    expect(cells).to_have_text(["a:0 90 %", "! b:0 55 %", "a:1 2 %", "b:1 silent"])
    cells.first.hover()
    expect(page.locator("#grid-count")).to_contain_text("in this order while you are on the map")
    store("GPU_UTIL", "a", 1, 99.0)
    stored_s = now_s()
    expect(cells).to_have_text(["a:0 90 %", "! b:0 55 %", "a:1 99 %", "b:1 silent"])
    page.mouse.move(1, 1)
    expect(cells).to_have_text(["a:1 99 %", "a:0 90 %", "! b:0 55 %", "b:1 silent"])
    cells.nth(1).focus()
    # Another value of the same second would be a conflict.
    eventually(lambda: now_s() > stored_s, 3)
    store("GPU_UTIL", "a", 1, 1.0)
    expect(cells.first).to_have_text("a:1 1 %")
    expect(cells.nth(1)).to_be_focused()
    page.get_by_label("Find").focus()
    expect(cells.last).to_have_text("b:1 silent")
    expect(cells.first).to_have_text("a:0 90 %")


def test_the_words_say_what_the_order_is_by(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_label("Order").locator("option")).to_have_text(
        ["by host", "highest gpu utilisation first", "lowest gpu utilisation first"]
    )
    page.get_by_label("Colour").select_option("gpu temperature")
    expect(page.get_by_label("Order").locator("option").last).to_have_text("lowest gpu temperature first")


def test_a_gpu_that_fell_silent_keeps_its_fault(page: Page, address: str, store: Store, judge: Callable[[], None]) -> None:
    # Errors of a link are told of for 10 minutes: as long as it takes until a GPU is silent.
    for age_s, errors in ((3605, 0.0), (3600, 5.0)):
        store("NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "b", 1, errors, age_s)
    store("XID_ERRORS", "c", 0, 79.0, 3600)
    judge()
    page.goto(address)
    rows = page.locator("#attention tbody tr")
    for name, words in {"b:1": "silent, was degraded", "c:0": "silent, was faulty"}.items():
        row = rows.filter(has_text=name)
        expect(row.locator("td").nth(1)).to_have_text(words)
        expect(row.locator("td").nth(2)).to_contain_text("silent")
    expect(rows.filter(has_text="b:1")).to_contain_text("errors on an NVLink")
    expect(page.locator("#numbers > div").last).to_contain_text("Faults3")
    expect(page.locator("[data-gpu=GPU-b-1]")).to_have_class("cell silent fault")


def test_gpus_of_a_host_with_one_reason_share_a_row_and_all_can_be_shown(page: Page, address: str, store: Store) -> None:
    for index in range(3):
        store("GPU_UTIL", "c", index, 50.0, 3600)
    for number in range(10):
        store("GPU_UTIL", f"h{number}", 0, 50.0, 3600)
    page.goto(address)
    rows = page.locator("#attention tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.filter(has_text="c: 3 GPUs")).to_have_count(1)
    expect(page.locator("#attention-count")).to_have_text("12 of 15 GPUs")
    page.get_by_role("button", name="Show all").click()
    expect(rows).to_have_count(13)
    rows.filter(has_text="c: 3 GPUs").get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("c")

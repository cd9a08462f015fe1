"""The page of one GPU: its charts, spans, zoom, exports, and who held it."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_a_gpu_has_a_chart_for_each_metric_and_says_who_held_it(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-1")
    expect(page.locator("h1")).to_have_text("a:1")
    expect(page.locator("#facts")).to_contain_text("H100")
    charts = page.locator("canvas")
    expect(charts).to_have_count(2)
    expect(charts.first).to_have_attribute("aria-label", re.compile(r"gpu utilisation: 2 % to 2 %, last 2 %"))
    expect(page.locator("#held tbody tr")).to_contain_text("train-1")
    page.locator("summary").click()
    page.get_by_role("checkbox", name="gpu utilisation").uncheck()
    expect(charts).to_have_count(1)
    expect(page).to_have_url(re.compile(r"#metrics=DCGM_FI_DEV_GPU_TEMP"))


def test_a_live_tail_shows_new_readings(page: Page, address: str, store: Store) -> None:
    page.goto(f"{address}/gpus/GPU-a-0#span=15m")
    chart = page.locator("canvas").first
    expect(chart).to_have_attribute("aria-label", re.compile("last 90 %"))
    store("GPU_UTIL", "a", 0, 7.0)
    expect(chart).to_have_attribute("aria-label", re.compile("last 7 %"))


def test_dragging_over_a_chart_zooms_all_of_them_and_the_address_keeps_it(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-0#span=15m")
    chart = page.locator("canvas").first
    expect(chart).to_have_attribute("aria-label", re.compile("last 90 %"))
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 50, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
    expect(chart).to_have_attribute("aria-label", re.compile("no readings in this span"))
    page.get_by_role("button", name="Show the whole span").click()
    expect(chart).to_have_attribute("aria-label", re.compile("last 90 %"))


def test_the_arrow_keys_read_a_chart(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-0#span=15m")
    chart = page.locator("canvas").nth(1)
    expect(chart).to_have_attribute("aria-label", re.compile("last 62.5"))
    chart.press("ArrowLeft")
    expect(page.locator("figure output").nth(1)).to_contain_text("62.5 °C at ")


def test_all_lines_are_read_at_the_cursor(page: Page, address: str) -> None:
    page.goto(f"{address}/hosts/a#span=15m")
    chart = page.locator("canvas").first
    readout = page.locator("figure output").first
    expect(readout).to_have_text(re.compile("^last :0 90 %, :1 2 % at "))
    chart.press("ArrowLeft")
    expect(readout).to_have_text(re.compile("^:0 90 %, :1 2 % at "))


def test_the_export_links_answer_what_is_shown(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-0")
    link = page.get_by_role("link", name="CSV")
    expect(link).to_have_attribute("href", re.compile("format=csv"))
    answer = httpx.get(f"{address}{link.get_attribute('href')}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.text.splitlines()) == 1 + 3 * 2


def test_who_held_it_is_marked_and_leads_to_their_page(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-1#span=15m")
    chart = page.locator("canvas").first
    expect(page.locator("#zoom")).to_contain_text("the strip at the top is who held it")
    chart.press("ArrowLeft")
    expect(page.locator("figure output").first).to_contain_text("held by team/train-1")
    page.locator("#held").get_by_role("link", name="team/train-1").click()
    expect(page.locator("h1")).to_have_text("pod train-1, namespace team")


def test_several_gpus_are_compared_by_the_address(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-0#span=15m&with=GPU-b-0")
    chart = page.locator("canvas").first
    expect(chart).to_have_attribute("aria-label", re.compile("a:0 90 % to 90 %, last 90 %; GPU-b-0 55 % to 55 %, last 55 %"))
    page.get_by_role("combobox", name="Compare with").fill("a:1")
    page.get_by_role("combobox", name="Compare with").press("Enter")
    expect(chart).to_have_attribute("aria-label", re.compile("; a:1 2 % to 2 %"))
    expect(page).to_have_url(re.compile("with=GPU-b-0%2Ca%3A1"))
    expect(page.locator("#lines li")).to_have_count(3)
    page.get_by_role("button", name="Do not compare with GPU-b-0").click()
    expect(page.locator("#lines li")).to_have_count(2)
    expect(chart).not_to_have_attribute("aria-label", re.compile("GPU-b-0"))


@pytest.mark.refused(404)
def test_a_wrong_name_to_compare_with_is_said_and_can_be_removed(page: Page, address: str, store: Store) -> None:
    page.goto(f"{address}/gpus/GPU-a-0#span=15m&with=GPU-b-0")
    chart = page.locator("canvas").first
    expect(chart).to_have_attribute("aria-label", re.compile("; GPU-b-0 55 % to 55 %"))
    page.get_by_role("combobox", name="Compare with").fill("nowhere:7")
    page.get_by_role("combobox", name="Compare with").press("Enter")
    expect(page.locator("#lines li").nth(2)).to_contain_text("nowhere:7: no such GPU")
    store("GPU_UTIL", "a", 0, 7.0)
    expect(chart).to_have_attribute("aria-label", re.compile("last 7 %; GPU-b-0 55 % to 55 %, last 55 %; nowhere:7"))
    expect(page.locator("#trouble")).to_be_hidden()
    page.get_by_role("button", name="Do not compare with nowhere:7").click()
    expect(page.locator("#lines li")).to_have_count(2)


@pytest.mark.refused(404)
def test_an_unknown_gpu_is_named(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-nowhere")
    expect(page.locator("#trouble")).to_contain_text("GPU-nowhere")


def test_it_says_at_the_top_who_holds_it(page: Page, address: str) -> None:
    page.goto(f"{address}/gpus/GPU-a-1")
    expect(page.locator("#facts").get_by_role("link", name="team/train-1")).to_have_attribute("href", re.compile("pod=train-1"))
    page.goto(f"{address}/gpus/GPU-a-0")
    expect(page.locator("#facts")).to_contain_text("Held bynobody")


def test_noise_of_a_gauge_stays_small_on_its_axis(page: Page, address: str, store: Store) -> None:
    page.add_init_script(
        "const draw = CanvasRenderingContext2D.prototype.fillText;"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {"
        " (this.canvas.texts ??= new Set()).add(text); draw.call(this, text, ...rest); };"
    )
    for age_s, value in ((60, 75_623.0), (0, 75_627.0)):
        store("FB_USED", "a", 0, value, age_s)
    page.goto(f"{address}/gpus/GPU-a-0#span=15m")
    for name, axis in {"gpu utilisation": ["0", "50", "100"], "memory used": ["0", "40 GiB", "80 GiB"]}.items():
        chart = page.locator("figure", has_text=name).locator("canvas")
        expect(chart).to_have_attribute("aria-label", re.compile("last"))
        drawn = chart.evaluate("canvas => [...canvas.texts]")
        assert [text for text in drawn if ":" not in text] == axis


def test_common_metrics_come_first_and_in_words(page: Page, address: str, store: Store) -> None:
    for metric in ("DEC_UTIL", "FB_USED"):
        store(metric, "a", 0, 1.0)
    page.goto(address)
    expect(page.get_by_label("Colour").locator("option")).to_have_text(
        ["gpu utilisation", "gpu temperature", "memory used", "XID, the last", "video decoder in use"]
    )

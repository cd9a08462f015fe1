"""The pages of owners and of one job."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.waiting import eventually
from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_owners_are_listed_with_what_they_used(page: Page, address: str) -> None:
    page.goto(f"{address}/owners")
    rows = page.locator("#usage tbody tr")
    expect(rows).to_have_count(2)
    # Three minutes of one GPU, or two, as the last one may not be over.
    expect(rows.first).to_have_text(re.compile(r"^team0\.0[35] GPU-h0\.0[35] GPU-h0 GPU-h2 %100 %0 GPU-h"))
    expect(rows.last).to_contain_text("nobody")
    expect(page.locator("#numbers > div").first).to_contain_text(re.compile(r"0\.0[35] GPU-h"))
    # Nobody is no owner. Of a week both ends have their date, and it says when its readings begin.
    told = r"^1 of 1 namespace, [\d-]+ [\d:]+ to [\d-]+ [\d:]+; the first reading is of ([\d-]+ )?[\d:]+$"
    expect(page.locator("#usage-count")).to_have_text(re.compile(told))
    expect(page.locator("#numbers > div").nth(1)).to_contain_text("100 % of the held time; utilisation below 5 %")
    href = page.get_by_role("link", name="CSV").get_attribute("href")
    answer = httpx.get(f"{address}{href}")
    assert answer.text.startswith("namespace,held_hours")


def test_the_address_keeps_the_question(page: Page, address: str) -> None:
    page.goto(f"{address}/owners")
    rows = page.locator("#usage tbody tr")
    page.get_by_label("Span").select_option("from day to day")
    page.get_by_label("From", exact=True).fill("2020-01-01")
    page.get_by_label("to the end of").fill("2020-01-31")
    expect(page.locator("#usage tbody")).to_contain_text("Nobody in this span")
    page.reload()
    expect(page.locator("#usage tbody")).to_contain_text("Nobody in this span")
    expect(page.get_by_label("From", exact=True)).to_have_value("2020-01-01")
    page.get_by_label("Span").select_option("a week")
    page.get_by_label("By").select_option("host")
    expect(rows).to_have_count(2)
    page.get_by_label("Find").fill("b")
    expect(rows).to_have_count(1)


def test_days_are_those_of_the_readers_clock(browser: Browser, address: str) -> None:
    context = browser.new_context(timezone_id="Asia/Tokyo")
    page = context.new_page()
    page.goto(f"{address}/owners#since=days&from=2020-01-01&to=2020-01-31")
    expect(page.locator("#zone")).to_have_text("Days are those of your clock, Asia/Tokyo.")
    expect(page.locator("#csv")).to_have_attribute(
        "href", re.compile(r"start_time=2019-12-31T15%3A00%3A00.000Z&end_time=2020-01-31T15%3A00%3A00.000Z")
    )
    context.close()


def test_jobs_of_one_number_are_kept_apart_by_their_users(page: Page, address: str, store: Store) -> None:
    store("GPU_UTIL", "a", 0, 50.0, 90, slurm_job_id="7", slurm_user="ann")
    store("GPU_UTIL", "b", 0, 50.0, 90, slurm_job_id="7", slurm_user="bob")
    page.goto(f"{address}/owners#by=job")
    page.get_by_role("row", name="ann").get_by_role("link", name="7").click()
    expect(page.locator("h1")).to_have_text("job 7, user ann")
    expect(page.locator("#gpus tbody tr")).to_have_count(1)
    expect(page.locator("#gpus tbody tr")).to_contain_text("a:0")


def test_a_job_that_goes_on_is_asked_for_its_own_time_alone(page: Page, address: str) -> None:
    asked: list[str] = []
    page.clock.install()
    page.goto(f"{address}/job#pod=train-1&namespace=team")
    expect(page.locator("#gpus tbody tr")).to_contain_text("a:1")
    expect(page.locator("canvas").first).to_be_visible()
    page.on("request", lambda request: asked.append(request.url))

    def is_asked_again() -> bool:
        page.clock.run_for(16_000)
        return any("/allocations" in url for url in asked)

    eventually(is_asked_again, 30, every_s=0.5, what="the job is asked for again")
    assert not [url for url in asked if "-52w" in url]


def test_from_a_namespace_one_comes_to_its_pods_and_to_one_of_them(page: Page, address: str, store: Store) -> None:
    store("GPU_UTIL", "a", 0, 50.0, 30, namespace="other", pod="train-1")
    page.goto(f"{address}/owners")
    page.get_by_role("link", name="team").click()
    expect(page.locator("#within")).to_contain_text("Only of namespace team.")
    rows = page.locator("#usage tbody tr")
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="train-1").click()
    expect(page.locator("h1")).to_have_text("pod train-1, namespace team")
    gpus = page.locator("#gpus tbody tr")
    expect(gpus).to_have_count(1)
    expect(gpus).to_contain_text("a:1H100")
    expect(page.locator("canvas").first).to_have_attribute("aria-label", re.compile("a:1 2 % to 2 %"))
    gpus.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("a:1")


def test_hours_without_a_rate_are_said_beside_the_cost(
    page: Page, start_api: Callable[..., tuple[str, int]], tmp_path: Path
) -> None:
    rates = tmp_path / "rates.toml"
    rates.write_text('currency = "EUR"\n[model]\nL40S = 1.0\n')
    address = start_api(TELEMETRY_API_ACCESS="open", TELEMETRY_RATES=str(rates))[0]
    page.goto(f"{address}/owners")
    expect(page.locator("#numbers > div").last).to_contain_text(
        re.compile(r"EUR.*by the table of rates; 0\.0[35] GPU-h have no rate")
    )


def test_a_page_without_a_job_says_where_jobs_are(page: Page, address: str) -> None:
    page.goto(f"{address}/job")
    expect(page.locator("#when")).to_contain_text("Choose one among the owners")
    page.goto(f"{address}/job#job=4711")
    expect(page.locator("#gpus tbody")).to_contain_text("It had no GPU in the last year")

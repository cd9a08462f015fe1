"""A server that freezes or goes is named on the page within seconds, and the page comes back by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from playwright.sync_api import Page, expect
from sqlalchemy import make_url

from telemetry import broker
from telemetry.progress.keys import Keys
from telemetry.settings import Settings
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.usefixtures("fleet")
# Five seconds, and as much again for a machine that runs other tests.
SOON_MS = 10_000


@pytest.fixture
def database_way(settings: Settings) -> Iterator[Proxy]:
    """The network between the API and the database."""
    folder = make_url(settings.database_url).query.get("host")
    if not isinstance(folder, str):
        pytest.skip("the database of the environment is behind a network already")
    with Proxy(lambda: next(path for path in Path(folder).glob(".s.PGSQL.*") if path.suffix != ".lock")) as proxy:
        yield proxy


@pytest.fixture
def address(settings: Settings, start_api: Callable[..., tuple[str, int]], way: Proxy, database_way: Proxy) -> str:
    """The address of a page whose servers are behind networks."""
    number = parse_qs(urlsplit(settings.broker_url).query)["virtual_host"][0]
    url = make_url(settings.database_url)
    database = url.set(host="127.0.0.1", port=database_way.port, query={}).render_as_string(hide_password=False)
    return start_api(
        TELEMETRY_API_ACCESS="open",
        TELEMETRY_BROKER_URL=f"redis://127.0.0.1:{way.port}/{number}",
        TELEMETRY_DATABASE_URL=database,
    )[0]


@pytest.mark.refused(503)
@pytest.mark.parametrize("part", ["broker", "database"])
@pytest.mark.parametrize("fault", [Proxy.silence, Proxy.refuse])
def test_a_part_that_is_away_is_named_and_comes_back(
    page: Page, address: str, way: Proxy, database_way: Proxy, part: str, fault: Callable[[Proxy], None]
) -> None:
    page.goto(address)
    expect(page.locator(".cell")).to_have_count(4)
    network = {"broker": way, "database": database_way}[part]
    fault(network)
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text(f"The {part} is ", timeout=SOON_MS)
    network.heal()
    # A connection that was silenced stays so; the API gives it up by its own deadline.
    expect(trouble).to_be_hidden(timeout=30_000)
    expect(page.locator(".cell")).to_have_count(4)


@pytest.fixture
def beating(settings: Settings, redis_client: redis.Redis) -> str:
    """An edge that said just now that it is at work, and need not do so again for an hour."""
    keys, now_ms = Keys(settings.key_prefix), broker.now_us(redis_client) // 1000
    redis_client.sadd(keys.edges(), "test/node")
    redis_client.set(keys.sign("test/node"), f"{now_ms} {now_ms + 3_600_000}")
    return "test/node"


@pytest.mark.refused(503)
def test_what_a_frozen_broker_told_last_is_grey_and_its_time_stays(page: Page, address: str, way: Proxy, beating: str) -> None:
    page.goto(f"{address}/pipeline")
    state = page.locator("#edges tbody tr", has_text=beating).locator("td").nth(1)
    expect(state).to_have_text("at work")
    way.silence()
    trouble = page.locator("#trouble")
    expect(trouble).to_contain_text("The broker is ", timeout=SOON_MS)
    expect(state).to_have_text("unknown")
    expect(page.locator("#flow > div").first).to_have_css("filter", "grayscale(1)")
    cell = page.locator("#parts tbody tr", has_text="broker").locator("td").nth(1)
    expect(cell).to_contain_text("since")
    times = set()
    for _ in range(3):
        with page.expect_response("**/health"):
            pass
        times |= {re.search(r"since ([\d:]+)", text).group(1) for text in (trouble.inner_text(), cell.inner_text())}  # type: ignore[union-attr]
    assert len(times) == 1
    expect(page.locator("#flow > div").first).to_contain_text("the broker does not answer")
    expect(state).to_have_text("unknown")


@pytest.mark.refused("net::ERR_FAILED")
def test_where_the_api_is_away_ages_grow_and_values_are_grey(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator(".cell")).to_have_count(4)
    expect(page.locator("#numbers > div").first).to_have_css("filter", "none")
    page.route("**/*", lambda route: route.abort())
    expect(page.locator("#trouble")).to_contain_text("The API does not answer.", timeout=SOON_MS)
    expect(page.locator("main")).to_have_css("filter", "grayscale(1)")
    before = age_s(page)
    expect(page.locator("#freshness")).not_to_have_text(f"newest reading {before} s ago")
    assert age_s(page) > before
    expect(page.locator(".cell.silent")).to_have_count(1)
    page.unroute("**/*")
    expect(page.locator("#trouble")).to_be_hidden()
    expect(page.locator("main")).to_have_css("filter", "none")


def age_s(page: Page) -> int:
    """How old the page says the newest reading is."""
    found = re.search(r"(\d+) s ago", page.locator("#freshness").inner_text())
    assert found
    return int(found.group(1))

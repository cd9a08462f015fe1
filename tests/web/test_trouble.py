"""A server that freezes or goes is named on the page within seconds, and the page comes back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import make_url

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

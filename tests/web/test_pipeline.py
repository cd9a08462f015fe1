"""The page of the pipeline, while readings come and servers go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from telemetry.store import apikeys, deadletters
from telemetry.store.deadletters import Letter
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


@pytest.mark.refused(401, 403)
def test_dead_letters_say_what_to_do_and_an_admin_drops_them(
    page: Page, start_api: Callable[..., tuple[str, int]], engine: Engine
) -> None:
    address = start_api(TELEMETRY_API_ACCESS="keys", TELEMETRY_FLOWER_URL="/flower/")[0]
    with engine.begin() as connection:
        deadletters.add(connection, Letter("WireError: it was cut", {}, b"..."), edge="a/b", batch_id="b1")
        keys = {scope: apikeys.create(connection, scope, (scope,), None, "a test") for scope in ("read", "admin")}
    page.on("dialog", lambda dialog: dialog.accept())
    rows = page.locator("#letters tbody tr")
    for scope, words in (("read", "this operation needs a key with the scope admin"), ("admin", "None.")):
        page.goto(f"{address}/pipeline")
        page.get_by_label("API key").fill(keys[scope])
        page.get_by_role("button", name="Log in").click()
        expect(rows).to_contain_text("WireError: it was cut")
        expect(rows).to_contain_text("telemetry deadletter retry 1")
        expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", "/flower/")
        page.get_by_role("button", name="drop it").click()
        expect(rows).to_contain_text(words)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("API key")).to_be_visible()

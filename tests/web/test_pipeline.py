"""The page of the pipeline, while readings come and servers go."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, text

from telemetry.collector.persist import Collector
from telemetry.local.servers import Valkey
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.settings import Settings
from telemetry.store import apikeys, deadletters
from telemetry.store.deadletters import Letter
from tests.batches import batch, key, readings
from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


def test_it_shows_servers_edges_and_sources_and_follows_them(page: Page, address: str, store: Store) -> None:
    page.goto(f"{address}/pipeline")
    expect(page.locator("#parts tbody tr")).to_have_count(2)
    expect(page.locator("#parts tbody")).not_to_contain_text("unreachable")
    expect(page.locator("#edges tbody")).to_contain_text("test/node")
    expect(page.locator("#sources tbody")).to_contain_text("/data/a.csv")
    flow = page.locator("#flow > div")
    for place, words in enumerate(("Queue0", "Collectors", "Rows a second0.", "Latency", "Behind0 bytes", "Gaps0")):
        expect(flow.nth(place)).to_contain_text(words)
    expect(page.locator("#clusters tbody tr")).to_contain_text(re.compile("test.* s"))
    samples = page.locator("#numbers > div").first
    expect(samples).to_contain_text("Samples20")
    store("GPU_UTIL", "a", 0, 3.0, 1)
    expect(samples).to_contain_text("Samples21")


def test_readings_that_came_too_late_for_what_is_kept_have_a_column(
    page: Page, address: str, store: Store, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE retention SET kept_since = now() - interval '1 day' WHERE level = 'samples'"))
    store("GPU_UTIL", "a", 0, 3.0, 7 * 86_400)
    page.goto(f"{address}/pipeline")
    (place,) = [place for place, name in enumerate(page.locator("#sources th").all_inner_texts()) if name == "Expired"]
    expect(page.locator("#sources tbody tr td").nth(place)).to_have_text("1")
    expect(page.locator("#sources tbody tr td")).to_have_count(page.locator("#sources th").count())


@pytest.mark.refused(503)
def test_what_a_silent_broker_knows_is_missed_and_not_summed_up(
    page: Page, start_api: Callable[..., tuple[str, int]], settings: Settings, environ: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="telemetry-web-") as name, Valkey(Path(name) / "valkey") as south:
        # Nobody may be told of one broker and of several.
        del environ["TELEMETRY_BROKER_URL"]
        environ["TELEMETRY_BROKER_URLS"] = f"north={settings.broker_url} south={south.url}"
        page.goto(f"{start_api(TELEMETRY_API_ACCESS='open')[0]}/pipeline")
        flow, parts = page.locator("#flow > div"), page.locator("#parts tbody tr")
        expect(flow.first).to_contain_text("Queue0")
        expect(flow.first).not_to_contain_text("does not answer")
        expect(parts).to_have_count(3)
        south.kill()
        for figure in (flow.first, flow.nth(4), flow.nth(5)):
            expect(figure).to_contain_text("without the broker south, which does not answer")
        expect(parts.last).to_contain_text("broker southunreachable")


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
        expect(rows.get_by_role("button", name="store it again")).to_be_enabled()
        expect(page.get_by_role("link", name="Flower")).to_have_attribute("href", "/flower/")
        page.get_by_role("button", name="drop it").click()
        expect(rows).to_contain_text(words)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("API key")).to_be_visible()


@pytest.mark.refused(503)
def test_a_letter_is_stored_again_by_a_collector_and_stays_while_none_has(
    page: Page, address: str, settings: Settings, engine: Engine, redis_client: redis.Redis
) -> None:
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    header, payload = wire.encode(batch(readings((key(), 0, 1.0)), "sound"))
    collector.persist({**header, "digest": "0" * 32}, payload)
    with engine.begin() as connection:
        connection.execute(text("UPDATE dead_letters SET header = CAST(:h AS jsonb)"), {"h": json.dumps(header)})
    page.goto(f"{address}/pipeline")
    rows = page.locator("#letters tbody tr")
    button = rows.get_by_role("button", name="store it again")
    button.click()
    expect(rows.get_by_role("button", name="is being stored")).to_be_disabled()
    expect(rows).to_contain_text("It waits for a collector, and stays here")
    assert redis_client.llen(settings.ingest_queue) == 1
    collector.persist(header, payload)
    button.click()
    expect(rows).to_have_text("None.")

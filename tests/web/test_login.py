"""A person comes in with a key, and stays in until they log out."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine

from telemetry.store import apikeys

pytestmark = pytest.mark.usefixtures("fleet")


@pytest.fixture
def address(start_api: Callable[..., tuple[str, int]]) -> str:
    """The address of a page that asks for a key."""
    return start_api(TELEMETRY_API_ACCESS="keys")[0]


@pytest.fixture
def key(engine: Engine) -> str:
    """A key that may read."""
    with engine.begin() as connection:
        return apikeys.create(connection, "person", ("read",), None, "a test")


@pytest.mark.refused(401, 403)
def test_a_person_logs_in_comes_back_to_the_view_and_logs_out(page: Page, address: str, key: str) -> None:
    page.goto(f"{address}/pipeline")
    expect(page).to_have_url(re.compile(r"/login\?then="))
    page.get_by_label("API key").fill("tk_wrong_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{address}/pipeline")
    expect(page.locator("#edges tbody")).to_contain_text("test/node")
    assert "telemetry_key" not in page.evaluate("document.cookie")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    assert httpx.get(f"{address}/api/v1/stats").status_code == httpx.codes.UNAUTHORIZED

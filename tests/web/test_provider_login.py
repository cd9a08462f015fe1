"""A person comes in by a provider on another site, in a real browser, with the cookies as that keeps them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.fixtures.provider import Running
from tests.ports import free_port
from tests.web.conftest import Store

pytestmark = pytest.mark.usefixtures("fleet")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def page_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def address(start_api: Callable[..., tuple[str, int]], provider: Running, port: int) -> str:
    return start_api(port=port, TELEMETRY_API_ACCESS="keys", **provider.variables)[0]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.set_default_timeout(15_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """One that may go to the provider, too."""
    return context.new_page()


def sign_in(page: Page) -> None:
    page.get_by_role("link", name="Log in with your account").click()
    page.get_by_role("button", name="Sign in as alice").click()


def test_a_person_logs_in_by_the_provider_comes_back_and_logs_out(
    page: Page, context: BrowserContext, address: str, provider: Running
) -> None:
    page.goto(f"{address}/pipeline")
    expect(page).to_have_url(re.compile(r"/login\?then="))
    page.get_by_role("link", name="Log in with your account").click()
    expect(page).to_have_url(re.compile(f"^{provider.issuer}/authorize"))
    page.get_by_role("button", name="Sign in as alice").click()
    expect(page).to_have_url(f"{address}/pipeline")
    expect(page.locator("#edges tbody")).to_contain_text("test/node")
    (cookie,) = (each for each in context.cookies() if each["name"] == "telemetry_key")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["domain"]) == (True, "Strict", "127.0.0.1")
    assert "telemetry_key" not in page.evaluate("document.cookie")
    assert "telemetry_login" not in {each["name"] for each in context.cookies()}
    page.reload()
    expect(page.locator("#edges tbody")).to_contain_text("test/node")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{address}/login")
    page.goto(f"{address}/pipeline")
    expect(page).to_have_url(re.compile(r"/login\?then="))


def test_who_has_no_rights_is_told_and_comes_in_when_they_have(page: Page, address: str, provider: Running) -> None:
    provider.next(claims={"sub": "u1", "preferred_username": "alice", "groups": ["visitors"]})
    page.goto(f"{address}/login")
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("You are in: visitors")
    provider.next(fault="denied")
    sign_in(page)
    expect(page.get_by_role("alert")).to_contain_text("did not let you in")
    provider.next()
    sign_in(page)
    expect(page.locator("main")).to_contain_text("a")
    expect(page).to_have_url(f"{address}/")


def test_a_team_sees_its_own_use_and_is_told_what_it_does_not_see(
    page: Page, address: str, provider: Running, store: Store
) -> None:
    for index, namespace in enumerate(("ours", "theirs")):
        for age_s in (120, 60, 0):
            store("GPU_UTIL", "c", index, 50.0, age_s, namespace=namespace, pod=f"{namespace}-1")
    provider.next(claims={"sub": "u1", "groups": ["team/ours"]})
    page.goto(f"{address}/login")
    sign_in(page)
    expect(page).to_have_url(f"{address}/owners")
    expect(page.locator("#usage")).to_contain_text("ours")
    expect(page.locator("#usage")).not_to_contain_text("theirs")
    page.goto(f"{address}/events")
    expect(page.locator("#trouble")).to_be_hidden()
    page.goto(f"{address}/")
    expect(page.locator("#trouble")).to_contain_text("bound to the namespaces ours")

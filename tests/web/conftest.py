"""A browser, the page on this test's database, and a fleet that reports now."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
import redis
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright
from sqlalchemy import Engine

from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.series import SeriesKey
from telemetry.settings import Settings
from tests.batches import batch, now_s, readings
from tests.waiting import eventually

SCRIPT = Path(__file__).parents[2] / "scripts" / "chromium"
# Without these a browser asks for updates and the like as soon as it starts.
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update")


class Store(Protocol):
    """Store a reading of a GPU, so many seconds old."""

    def __call__(self, metric: str, host: str, index: int, value: float, age_s: int = 0, **labels: str) -> None: ...


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives the browser."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium."""
    expect.set_options(timeout=20_000)
    # Workers of xdist come here at once, and apt-get wants to be alone.
    with (Path(tempfile.gettempdir()) / "telemetry-tests-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(found.stderr)
    with playwright.chromium.launch(executable_path=found.stdout.strip(), args=list(QUIET)) as running:
        yield running


@pytest.fixture
def store(settings: Settings, engine: Engine, redis_client: redis.Redis) -> Store:
    """Store readings, as the collector does."""
    collector = Collector(settings, engine, Acks(redis_client, Keys(settings.key_prefix), 60))
    numbers, taken = count(), set[tuple[str, int]]()

    def stored(metric: str, host: str, index: int, value: float, age_s: int = 0, **labels: str) -> None:
        name = f"DCGM_FI_DEV_{metric}"
        series = SeriesKey(name, f"GPU-{host}-{index}", host, index, f"nvidia{index}", "H100", labels).text()
        # Two readings of one second are a conflict.
        eventually(lambda: (series, now_s() - age_s) not in taken)
        second = now_s() - age_s
        taken.add((series, second))
        made = batch(readings((series, second, value)), f"batch-{next(numbers)}")
        collector.persist(*wire.encode(made))

    return stored


@pytest.fixture
def fleet(store: Store, judge: Callable[[], None]) -> None:
    """Two hosts of two GPUs: three report, of which one has an XID and one is held and idle; one fell silent an hour ago."""
    for host, index, used in (("a", 0, 90.0), ("a", 1, 2.0), ("b", 0, 55.0)):
        for age_s in (120, 60, 0):
            store("GPU_UTIL", host, index, used, age_s, **({"namespace": "team", "pod": "train-1"} if index else {}))
            store("GPU_TEMP", host, index, 40.0 + used / 4, age_s)
    store("XID_ERRORS", "b", 0, 79.0)
    store("GPU_UTIL", "b", 1, 10.0, 3600)
    judge()


@pytest.fixture
def address(start_api: Callable[..., tuple[str, int]]) -> str:
    """The address of the page, open to this machine."""
    return start_api(TELEMETRY_API_ACCESS="open")[0]


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a browser of its own, which goes before the server does.

    It fails the test for an error on the console, and for a request to another host. Chromium itself logs each
    answer of 400 and above there, at a time of its own: the marker `refused` names those that the test is about, or the
    error of a network that is cut.
    """
    refused = [status for marker in request.node.iter_markers("refused") for status in marker.args]
    told = (f"the server responded with a status of {each} " if isinstance(each, int) else each for each in refused)
    expected = tuple(f"Failed to load resource: {each}" for each in told)
    context = browser.new_context()
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: wrong.append(request.url) if urlsplit(request.url).hostname != "127.0.0.1" else None)
    yield opened
    context.close()
    assert not [text for text in wrong if not text.startswith(expected)]

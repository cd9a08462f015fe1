"""`python -m benchmarks.web`: what the web page weighs, how soon it shows what, and what many open pages cost the API.

A system of its own: Postgres, Valkey, and gunicorn as the Procfile starts it. Debian's Chromium looks at the page of the fleet.
Readings are committed as collectors commit them. The open pages are not browsers, which would take the cores that are measured:
each asks what the real page asked within `LISTEN_S`, at the same times, with the tags of its last answers.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from socket import socket

import click
import httpx
import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks import machine
from benchmarks.bench import Site, servers
from benchmarks.processes import ROOT, family
from benchmarks.sizes import Sizes
from telemetry.collector.persist import Collector
from telemetry.progress.acks import Acks
from telemetry.progress.keys import Keys
from telemetry.readings import wire
from telemetry.readings.rows import Readings
from telemetry.readings.series import SeriesKey

METRICS = tuple(f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "GPU_TEMP", "POWER_USAGE", "FB_USED"))
GPUS_OF_HOST = 8
LOOKS = 20
REPAINTS = 20
LISTEN_S = 12
# Between two scrapes of all GPUs, while pages are open.
SCRAPE_S = 10.0
# What each figure may be at most (docs/WEB_PAGE.md).
LIMITS = {
    "first view, compressed (kB)": 250.0,
    "first contentful paint (ms)": 1000.0,
    "from commit to colour, median (ms)": 1000.0,
    "from commit to colour, longest (ms)": 1000.0,
    "repaint of 2,000 GPUs, median (ms)": 50.0,
    "API with 60 pages open (% of a core)": 20.0,
}
# In the browser: when a cell gets another class, by the clock that the machine's processes share.
WATCH = """(id) => new Promise((resolve) => {
    const cell = document.querySelector(`[data-gpu="${id}"]`);
    new MutationObserver((_, watch) => {
        watch.disconnect();
        resolve(performance.timeOrigin + performance.now());
    }).observe(cell, { attributes: true, attributeFilter: ["class"] });
})"""
# Another metric colours all cells anew; to ask for the height makes the browser lay out what was drawn.
REPAINT = """(metric) => {
    const field = document.querySelector("[name=metric]");
    field.value = metric;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    document.body.offsetHeight;
}"""
PAINT = """async (metric) => {
    const field = document.querySelector("[name=metric]");
    const begun = performance.now();
    field.value = metric;
    field.dispatchEvent(new Event("change", { bubbles: true }));
    document.body.offsetHeight;
    return performance.now() - begun;
}"""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


@dataclass
class Fleet:
    """GPUs whose readings are committed here and now."""

    site: Site
    gpus: int
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        settings = self.site.settings
        self._collector = Collector(settings, self.site.engine(), Acks(self.site.client(), Keys(settings.key_prefix), 60))

    def scrape(self) -> None:
        """Commit a reading of each GPU and metric."""
        for metric in METRICS:
            self.commit([(metric, number, float(np.random.default_rng().integers(5, 95))) for number in range(self.gpus)])

    def commit(self, rows: list[tuple[str, int, float]]) -> None:
        """Commit readings of now, each a metric, the number of a GPU, and a value."""
        series = [_series(metric, number) for metric, number, _ in rows]
        now_us = time.time_ns() // 1000
        content = Readings(
            series,
            np.arange(len(rows), dtype=np.int64),
            np.full(len(rows), now_us, np.int64),
            np.array([value for _, _, value in rows], np.float64),
            0,
            [],
            len(rows),
        )
        number = next(self._numbers)
        source = wire.Source("bench", "/bench.csv", "bench", "dcgm", None)
        place = (number * 100, number * 100 + 100, number + 2)
        batch = wire.Batch("bench/node", f"web-{number}", source, *place, now_us, now_us, content)
        self._collector.persist(*wire.encode(batch))


def _series(metric: str, number: int) -> str:
    host, index = divmod(number, GPUS_OF_HOST)
    labels = {"namespace": f"team-{host % 7}", "pod": f"job-{number}"}
    return SeriesKey(metric, gpu_id(number), f"node-{host:03}", index, f"nvidia{index}", "H100", labels).text()


def gpu_id(number: int) -> str:
    """The UUID of a GPU."""
    return f"GPU-{number:08}"


@click.command()
@click.option("--gpus", type=click.IntRange(8), default=256, show_default=True, help="GPUs of the fleet, but for the repaint.")
@click.option("--pages", type=click.IntRange(1), default=60, show_default=True, help="Pages that are open.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def main(gpus: int, pages: int, as_json: bool) -> None:
    """Measure the web page, and print each figure beside what it may be. The exit code is 1 if one is larger."""
    with tempfile.TemporaryDirectory(prefix="telemetry-web-") as path:
        directory = Path(path)
        directory.chmod(0o755)
        with servers(directory, Sizes()) as bench, sync_playwright() as playwright:
            program = subprocess.run(
                [ROOT / "scripts" / "chromium"], stdout=subprocess.PIPE, text=True, check=True
            ).stdout.strip()
            with playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"]) as browser:
                figures: dict[str, float] = {}
                with bench.site(TELEMETRY_API_ACCESS="open", TELEMETRY_API_RATE_LIMIT="") as site:
                    fleet, (address, pid) = Fleet(site, gpus), _served(site)
                    fleet.scrape()
                    figures |= _first_view(browser.new_page, address)
                    figures |= _colour(browser.new_page(), address, fleet)
                    questions = _questions(browser.new_page(), address)
                    figures |= _open_pages(pages, questions, address, pid, fleet)
                with bench.site(TELEMETRY_API_ACCESS="open", TELEMETRY_API_RATE_LIMIT="") as site:
                    fleet, (address, _) = Fleet(site, 2000), _served(site)
                    fleet.scrape()
                    figures |= _repaint(browser.new_page(viewport={"width": 1280, "height": 900}), address)
    about = {"machine": f"{machine.cores()} cores", "load": round(psutil.getloadavg()[0], 1), "gpus": gpus, "pages": pages}
    if as_json:
        click.echo(json.dumps({**about, "figures": figures, "limits": LIMITS}))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in about.items()))
        for name, value in figures.items():
            click.echo(f"{name:<40} {value:8.1f}   of {LIMITS[name]:g}{'' if value <= LIMITS[name] else '   MISSED'}")
    raise SystemExit(any(value > LIMITS[name] for name, value in figures.items()))


def _served(site: Site) -> tuple[str, int]:
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = site.start(
        *("gunicorn", "--config", "python:telemetry.api.gunicorn_conf", "--bind", f"127.0.0.1:{port}", "--workers", "2"),
        *("--threads", "8", "--log-level", "warning", "--no-control-socket", "telemetry.api:create_app()"),
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/health").is_success
        except httpx.TransportError:
            return False

    site.wait(answers, "the API answers", 60)
    return address, process.pid


def _first_view(new_page: Callable[[], Page], address: str) -> dict[str, float]:
    """What comes over the network until the grid stands, and when the first words do. The API has served a page before."""
    paints = []
    for _ in range(3):
        page = new_page()
        sizes: list[float] = []
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", lambda event, sizes=sizes: sizes.append(event["encodedDataLength"]))
        page.goto(address)
        page.locator("#grid:not([aria-busy]) .cell").first.wait_for()
        weight = sum(sizes)
        paints.append(page.evaluate(PAINT))
        page.close()
    return {"first view, compressed (kB)": weight / 1000, "first contentful paint (ms)": statistics.median(paints)}


def _colour(page: Page, address: str, fleet: Fleet) -> dict[str, float]:
    """From the return of the commit to another colour of the cell."""
    page.goto(address)
    page.locator("#grid:not([aria-busy]) .cell").first.wait_for()
    taken_ms = []
    for look in range(LOOKS):
        number = look % fleet.gpus
        fleet.commit([(METRICS[0], number, 50.0)])
        page.wait_for_timeout(1500 + 137 * look % 700)
        seen = page.evaluate_handle(f"() => {{ window.seen = ({WATCH})('{gpu_id(number)}'); }}")
        fleet.commit([(METRICS[0], number, 99.0)])
        committed_ms = time.time() * 1000
        taken_ms.append(page.evaluate("() => window.seen") - committed_ms)
        seen.dispose()
    page.close()
    return {
        "from commit to colour, median (ms)": statistics.median(taken_ms),
        "from commit to colour, longest (ms)": max(taken_ms),
    }


def _repaint(page: Page, address: str) -> dict[str, float]:
    """Time of the browser's main thread, so that what else the machine does is not in it."""
    page.goto(address)
    page.locator(f'[data-gpu="{gpu_id(1999)}"]').wait_for()
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked_ms() -> float:
        metrics = {each["name"]: each["value"] for each in tools.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(metrics["ScriptDuration"] + metrics["LayoutDuration"] + metrics["RecalcStyleDuration"])

    taken_ms = []
    for number in range(REPAINTS):
        page.wait_for_timeout(300)
        before_ms = worked_ms()
        page.evaluate(REPAINT, METRICS[number % len(METRICS)])
        taken_ms.append(worked_ms() - before_ms)
    page.close()
    return {"repaint of 2,000 GPUs, median (ms)": statistics.median(taken_ms)}


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asked, and when: seconds after its first question."""

    at_s: float
    path: str


def _questions(page: Page, address: str) -> list[Question]:
    """What an open page asks within LISTEN_S, once it stands."""
    page.goto(address)
    page.locator("#grid:not([aria-busy]) .cell").first.wait_for()
    begun, asked = time.monotonic(), list[Question]()
    page.on("request", lambda request: asked.append(Question(time.monotonic() - begun, request.url.removeprefix(address))))
    page.wait_for_timeout(1000 * LISTEN_S)
    page.close()
    return asked


def _open_pages(pages: int, questions: list[Question], address: str, pid: int, fleet: Fleet) -> dict[str, float]:
    ended = threading.Event()
    threads = [threading.Thread(target=_replay, args=(questions, address, LISTEN_S * n / pages, ended)) for n in range(pages)]
    for thread in threads:
        thread.start()
    with _scraped(fleet):
        time.sleep(LISTEN_S)
        before, begun = _cpu_s(pid), time.monotonic()
        time.sleep(2 * LISTEN_S)
        share = (_cpu_s(pid) - before) / (time.monotonic() - begun)
    ended.set()
    for thread in threads:
        thread.join()
    return {"API with 60 pages open (% of a core)": 100 * share}


@contextmanager
def _scraped(fleet: Fleet) -> Iterator[None]:
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(SCRAPE_S):
            fleet.scrape()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _replay(questions: list[Question], address: str, after_s: float, ended: threading.Event) -> None:
    """Ask again and again what a page asked, as a browser does: one connection, compressed, with the tags it knows."""
    tags: dict[str, str] = {}
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate, br, zstd"}
    with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
        round_s = time.monotonic() - after_s
        while True:
            for question in questions:
                wait_s = round_s + question.at_s - time.monotonic()
                if wait_s < -1:
                    continue
                if ended.wait(max(0.0, wait_s)):
                    return
                known = {"If-None-Match": tags[question.path]} if question.path in tags else {}
                # The server may just have closed the connection. A browser asks again by itself.
                with suppress(httpx.TransportError), client.stream("GET", question.path, headers=known) as answer:
                    # The body is not unpacked: that would be the work of the page.
                    for _ in answer.iter_raw():
                        pass
                    tags[question.path] = answer.headers.get("ETag", "")
            round_s += LISTEN_S


def _cpu_s(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in family(pid))


if __name__ == "__main__":
    main()

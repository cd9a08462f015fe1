"""Does a run: the history as fast as possible, then live scrapes when they are due. `pace` may end both early."""

from __future__ import annotations

from collections.abc import Callable

from telemetry.simulate.output import Output
from telemetry.simulate.pace import Pace, now_us
from telemetry.simulate.simulation import Simulation

WRITE_BYTES = 1 << 20


def history(
    simulation: Simulation, sink: Output, pace: Pace, steps: int, advance: Callable[[int], None] = lambda _: None
) -> int:
    """Write the first `steps` steps at once. Returns the number of rows. `advance` is called with the number of steps done."""
    rows, size, waiting = 0, 0, list[bytes]()
    for scrapes in simulation.steps(0, steps):
        for scrape in scrapes:
            waiting.append(scrape.text)
            rows += scrape.rows
            size += len(scrape.text)
        if size >= WRITE_BYTES:
            sink.write(b"".join(waiting))
            waiting, size = [], 0
        advance(1)
        if pace.stopped:
            break
    sink.write(b"".join(waiting))
    return rows


def live(simulation: Simulation, sink: Output, pace: Pace, step: int) -> int:
    """Write each scrape when it is due, from `step` on until stopped. Returns the number of rows."""
    timeline, rows = simulation.timeline, 0
    while True:
        # Steps missed while the machine slept are left out, as they would be with a real exporter.
        step = max(step, (now_us() - timeline.start_us) // timeline.interval_us)
        for scrape in next(simulation.steps(step, 1)):
            if not pace.until(scrape.time_us):
                return rows
            sink.write(scrape.text)
            rows += scrape.rows
        step += 1

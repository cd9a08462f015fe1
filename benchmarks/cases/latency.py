"""Latency from publish to acknowledged while the collector is half busy: synthetic edges at half the rate of `messages`.

That is half of what the collector stores from a full queue with the machine to itself. Both ends are stamped by the process
that plays the edges: before it sends a message, and when the broker tells that its acknowledgement was written, which is
after the commit.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks.bench import Bench, BenchError
from benchmarks.cases import messages
from benchmarks.synthetic.fleet import fleet
from benchmarks.synthetic.listener import EVENTS, Listener, delays
from telemetry.progress.keys import Keys

LOAD = 0.5
MOST_MISSED = 0.01
# A machine that other work has slowed down since its rate was measured catches up.
UNANSWERED_S = 60
SETTLE_S = 3


def run(bench: Bench) -> dict[str, float]:
    """Each edge publishes a batch a second, so the load is as many edges."""
    if "messages" not in bench.figures:
        bench.figures["messages"] = [messages.run(bench)]
    capacity = statistics.median(each["messages_per_s"] for each in bench.figures["messages"])
    edges = max(1, round(capacity * LOAD))
    with bench.site(EVENTS) as site, fleet(bench, site, edges, bench.sizes.latency_s) as running:
        pattern = Keys(site.settings.key_prefix).acks("fleet/*", "*")
        # The warm-up is a burst, of which the servers have still to write.
        time.sleep(SETTLE_S)
        with Listener(running.client, pattern) as listener:
            running.run(bench.sizes.latency_s)
            running.drain(UNANSWERED_S)
        latencies_s, missed = delays(running.published(), listener.heard())
    if missed > MOST_MISSED * (len(latencies_s) + missed):
        raise BenchError(f"{missed} of {len(latencies_s) + missed} messages were not seen to be acknowledged")
    return {
        "full_load_messages_per_s": capacity,
        "messages_per_s": edges,
        "messages": len(latencies_s),
        "p50_ms": 1000 * float(np.percentile(latencies_s, 50)),
        "p99_ms": 1000 * float(np.percentile(latencies_s, 99)),
        "publisher_late_ms": running.late_s * 1000,
        "publisher_cpu_percent": 100 * running.cpu_share,
    }

"""Ten thousand edges at 10 rows a second each, for minutes, at one broker and at two; then all of them start again at once.

Each tick of an edge is 10 s after the last one, and brings a message of 100 rows: so it is set where edges are that many. What
is said of a broker (CPU, memory, connections) is of the one that has most of it. Each edge holds as many connections as the
limits of this machine let it, up to those of a real one. A restart hangs up all connections, leaves the edges away for a
while, connects them as fast as this process can, and has each claim its source and send what came due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import redis

from benchmarks.bench import Bench, Site
from benchmarks.cases.fleet import figures
from benchmarks.meter import Meter
from benchmarks.synthetic.fleet import Fleet, encoded, playing
from benchmarks.synthetic.payloads import ROWS, SMALL, Payloads
from telemetry import broker
from telemetry.local.servers import Valkey

# Connections of a real edge: beat, the worker's and the streamer's.
CONNECTIONS = 7
WARM_UPS = 2
DOWN_S, CAUGHT_UP_S, DRAIN_S = 10, 180, 300
MIB = 1 << 20
# Connections take of it, too.
MEMORY = {"maxmemory": "4gb"}
ASTRAY = """
    SELECT (SELECT coalesce(sum(rows), 0) FROM batches WHERE edge LIKE 'fleet/%'),
           (SELECT coalesce(sum(stored), 0) FROM batches), (SELECT count(*) FROM samples)
"""


def run(bench: Bench) -> dict[str, float]:
    """The figures of both, those of one broker first."""
    sizes = bench.sizes
    number = sizes.thousands_s // SMALL.interval_s + WARM_UPS + (DOWN_S + CAUGHT_UP_S) // SMALL.interval_s + 2
    measurements: dict[str, float] = {"edges": sizes.thousands_edges, "seconds": sizes.thousands_s}
    with encoded(bench.directory, sizes.thousands_edges, number, SMALL) as batches:
        for name, letters in (("one", "a"), ("two", "ab")):
            with several(bench, letters) as (site, servers, clients):
                measurements |= {f"{name}_{key}": value for key, value in _of(bench, site, servers, clients, batches).items()}
    return measurements


@contextmanager
def several(bench: Bench, letters: str) -> Iterator[tuple[Site, dict[str, Valkey], dict[str, redis.Redis]]]:
    """A site whose brokers are new, and have letters as names."""
    with ExitStack() as stack:
        of = bench.directory / f"brokers-{letters}"
        of.mkdir()
        servers = {name: stack.enter_context(Valkey(of / name, MEMORY)) for name in letters}
        urls = " ".join(f"{name}={server.url}" for name, server in servers.items())
        site = stack.enter_context(bench.site(TELEMETRY_BROKER_URL="", TELEMETRY_BROKER_URLS=urls))
        clients = {name: stack.enter_context(broker.connect(one)) for name, one in site.settings.brokers.items()}
        yield site, servers, clients


def _of(
    bench: Bench, site: Site, servers: Mapping[str, Valkey], clients: Mapping[str, redis.Redis], batches: Payloads
) -> dict[str, float]:
    edges, seconds = bench.sizes.thousands_edges, bench.sizes.thousands_s
    with playing(bench, site, clients, edges, batches) as running:
        for name in servers:
            flags = ("--concurrency", str(2 // len(servers)), "--without-gossip", "--without-mingle", "-n", f"{name}@bench")
            named = {"TELEMETRY_ROLE": "central", "TELEMETRY_BROKER_NAME": name}
            running.collectors.append(site.start("celery", "--quiet", "-A", "telemetry", "worker", *flags, **named).pid)
        running.warm_up(WARM_UPS)
        running.connect(CONNECTIONS)
        with Meter(servers.values(), running.collectors, bench.postgres) as meter:
            running.run(seconds)
        ran = meter.figures(running.ticks, running.ticks * ROWS)
        information, acknowledged_share = [client.info() for client in clients.values()], running.acknowledged_share()
        connected_s, caught_up_s = running.restart(DOWN_S, CAUGHT_UP_S)
        running.drain(DRAIN_S)
        at_end = [client.info("memory") for client in clients.values()]
        title = f"{edges:,} edges at {len(servers)} broker{'s' * (len(servers) > 1)}: rows due and not acknowledged"
        bench.traces[title] = [sample.lag for sample in running.samples]
        return {
            **figures(running.samples, edges, SMALL),
            "rows_per_s": acknowledged_share * edges * SMALL.rows_per_s,
            "acknowledged_share": acknowledged_share,
            "first_batches_s": running.first_s,
            "connections": max(info["connected_clients"] for info in information),
            "broker_memory_mib": max(info["used_memory"] for info in information) / MIB,
            "broker_memory_peak_mib": max(info["used_memory_peak"] for info in at_end) / MIB,
            **ran,
            "reconnected_s": connected_s,
            "caught_up_s": caught_up_s,
            "rows_astray": _astray(running, site),
            "publisher_late_ms": running.late_s * 1000,
            "publisher_cpu_percent": 100 * running.cpu_share,
        }


def _astray(running: Fleet, site: Site) -> int:
    """Rows published that the ledger does not have or has twice, and samples that it does not account for."""
    with site.database() as connection:
        entered, stored, samples = connection.execute(ASTRAY).fetchone() or (0, 0, 0)
    sent = ROWS * sum(edge.published for edge in running.edges)
    return abs(int(entered) - sent) + abs(int(stored) - int(samples))

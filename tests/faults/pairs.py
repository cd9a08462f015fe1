"""Two faults at once: which may strike while another one lasts, and how both are struck.

The second one waits for nothing of the system and heals its part by itself; the first one may do what it likes, as long as
it has nothing to do with that part. So each of the two finds its part as it left it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.faults import backups, brokers, clocks, databases, files, identity, network, operators, processes, strangers
from tests.faults.fault import Fault
from tests.faults.site import Site

BROKER, DATABASE, CENTRE, EDGE, NETWORK, FILES = PARTS = ("broker", "database", "centre", "edge", "network", "files")
# What a fault breaks, or needs to be whole, by the module that it stands in.
NEEDS: Mapping[str, Collection[str]] = {
    backups.__name__: (DATABASE, BROKER),
    brokers.__name__: (BROKER, CENTRE),
    clocks.__name__: PARTS,
    databases.__name__: (DATABASE, BROKER),
    files.__name__: (FILES, EDGE, CENTRE),
    identity.__name__: PARTS,
    network.__name__: (NETWORK, BROKER),
    operators.__name__: PARTS,
    processes.__name__: (EDGE, CENTRE, DATABASE, BROKER),
    strangers.__name__: PARTS,
}
# Those that need no more than what they break.
NEEDS_LITTLE: Mapping[str, Collection[str]] = {
    "kill_collector": (CENTRE,),
    "kill_collector_main_only": (CENTRE,),
    "kill_pool_children": (CENTRE,),
    "freeze_collector": (CENTRE,),
    "kill_streamer": (EDGE,),
    "kill_beat": (EDGE,),
    "kill_broker": (BROKER,),
    "wipe_broker": (BROKER,),
    "lose_broker_files": (BROKER,),
    "restore_old_broker": (BROKER,),
    "freeze_broker": (BROKER,),
    "cut_connections": (BROKER,),
    "fill_broker": (BROKER,),
    "stop_database_fast": (DATABASE,),
    "stop_database_immediately": (DATABASE,),
    "kill_backend": (DATABASE,),
    "kill_postmaster": (DATABASE,),
    "take_all_connections": (DATABASE,),
    "refuse_writes": (DATABASE,),
    "lock_tables": (DATABASE,),
    "cut_edge_from_broker": (NETWORK,),
    "silence_edge_to_broker": (NETWORK,),
    "cut_centre_from_broker": (NETWORK,),
    "silence_centre_to_broker": (NETWORK,),
    "cut_centre_from_database": (NETWORK,),
    "silence_centre_to_database": (NETWORK,),
}
# Its thread outlives each pair: a server ends with the thread that started it.
BESIDE = ThreadPoolExecutor(1)


def parts_of(name: str, fault: Fault) -> set[str]:
    """What a fault breaks, or needs to be whole."""
    return {*NEEDS_LITTLE.get(name, NEEDS[fault.__module__])}


def seconds(name: str, faults: Mapping[str, Fault]) -> list[str]:
    """Which of some faults may strike while a fault lasts, by their names."""
    parts = parts_of(name, faults[name])
    return [other for other in NEEDS_LITTLE if other in faults and not parts & parts_of(other, faults[other])]


def strike_both(site: Site, random: Random, first: Fault, second: Fault) -> None:
    """Strike the first, and the second up to two seconds later; raises what either raises, when both have ended."""
    ways = [Random(random.random()) for _ in range(2)]  # noqa: S311
    delay_s = random.uniform(0, 2)
    beside = BESIDE.submit(first, site, ways[0])
    time.sleep(delay_s)
    try:
        second(site, ways[1])
    finally:
        beside.result()

"""All faults, by name: of every site, of the soak alone, and of sites with a network, sentinels, several brokers, a standby."""

from __future__ import annotations

from tests.faults import (
    backups,
    brokers,
    clocks,
    databases,
    files,
    identity,
    network,
    operators,
    processes,
    sentinels,
    several,
    standbys,
    strangers,
)
from tests.faults.fault import FAULTS, NETWORK_FAULTS, SENTINEL_FAULTS, SEVERAL_FAULTS, SOAK_FAULTS, STANDBY_FAULTS

__all__ = [
    "FAULTS",
    "NETWORK_FAULTS",
    "SENTINEL_FAULTS",
    "SEVERAL_FAULTS",
    "SOAK_FAULTS",
    "STANDBY_FAULTS",
    "backups",
    "brokers",
    "clocks",
    "databases",
    "files",
    "identity",
    "network",
    "operators",
    "processes",
    "sentinels",
    "several",
    "standbys",
    "strangers",
]

"""All faults, by name: of every site, of one whose network can be broken, of one with sentinels, and of the soak alone."""

from __future__ import annotations

from tests.faults import (
    brokers,
    clocks,
    databases,
    files,
    identity,
    network,
    operators,
    processes,
    sentinels,
    standbys,
    strangers,
)
from tests.faults.fault import FAULTS, NETWORK_FAULTS, SENTINEL_FAULTS, SOAK_FAULTS, STANDBY_FAULTS

__all__ = [
    "FAULTS",
    "NETWORK_FAULTS",
    "SENTINEL_FAULTS",
    "SOAK_FAULTS",
    "STANDBY_FAULTS",
    "brokers",
    "clocks",
    "databases",
    "files",
    "identity",
    "network",
    "operators",
    "processes",
    "sentinels",
    "standbys",
    "strangers",
]

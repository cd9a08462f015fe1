"""All faults there are, by name: those of every site, of one with a network that can be broken, of the soak alone."""

from __future__ import annotations

from tests.faults import brokers, databases, files, identity, network, processes, strangers
from tests.faults.fault import FAULTS, NETWORK_FAULTS, SOAK_FAULTS

__all__ = [
    "FAULTS",
    "NETWORK_FAULTS",
    "SOAK_FAULTS",
    "brokers",
    "databases",
    "files",
    "identity",
    "network",
    "processes",
    "strangers",
]

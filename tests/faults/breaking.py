"""All faults there are, by name: those of every site, and those of one with a network that can be broken."""

from __future__ import annotations

from tests.faults import brokers, databases, files, network, processes
from tests.faults.fault import FAULTS, NETWORK_FAULTS

__all__ = ["FAULTS", "NETWORK_FAULTS", "brokers", "databases", "files", "network", "processes"]

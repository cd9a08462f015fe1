"""What NVIDIA's Fleet Intelligence agent writes offline: its columns, and what its metrics and events are called here.

Source: internal/exporter/converter/csv.go, and the metrics of third_party/fleet-intelligence-sdk/components, of
NVIDIA/fleet-intelligence-agent. Its `dcgm_fi_…` are fields of DCGM in small letters, in the units of DCGM. Any other metric is
one of its own.
"""

from __future__ import annotations

import re

METRICS = ("timestamp", "component", "metric_name", "value", "labels")
EVENTS = ("timestamp", "component", "event_name", "event_type", "message")
OF_DCGM = "dcgm_fi_"
XID_EVENT, XID = "error_xid", "DCGM_FI_DEV_XID_ERRORS"


def metric_of(name: str) -> str:
    """The metric of a name of the agent's."""
    return name.upper() if name.startswith(OF_DCGM) else "FLEETINT_" + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def event_of(name: str) -> str:
    """The metric of an event that is not an XID's."""
    return "FLEETINT_EVENT_" + re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")

"""Whether something listens at an address, over TCP or at a Unix socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import closing

from telemetry.doctor.address import Address
from telemetry.doctor.finding import Judgement, failed, ok, warning

CONNECT_S = 3.0


def opened(address: Address, timeout_s: float = CONNECT_S) -> socket.socket:
    """A connection."""
    if address.socket is None:
        return socket.create_connection((address.host, address.port), timeout_s)
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(timeout_s)
    try:
        made.connect(address.socket)
    except OSError:
        made.close()
        raise
    return made


def check(addresses: Sequence[Address]) -> Judgement:
    """Connect to each. Where there are several, one that answers is enough to work."""
    reached, faults = [], []
    for address in addresses:
        begin = time.monotonic()
        try:
            with closing(opened(address)):
                reached.append(f"{place(address)} answers in {(time.monotonic() - begin) * 1000:.1f} ms")
        except OSError as error:
            faults.append(fault(address, error))
    if not faults:
        return ok("; ".join(reached))
    return warning("; ".join([*reached, faults[0].says]), faults[0].mend) if reached else faults[0]


def place(address: Address) -> str:
    """How an address is shown."""
    if address.socket is not None:
        return address.socket
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def fault(address: Address, error: OSError) -> Judgement:
    """Say what an error of `connect` means."""
    where = place(address)
    if isinstance(error, ConnectionRefusedError):
        return failed(
            f"{where} refuses connections: nothing listens there",
            f"start the server, or correct host and port in {address.variable}; a Service without ready pods refuses, too",
        )
    if isinstance(error, TimeoutError):
        return failed(
            f"{where} does not answer within {CONNECT_S:g} s",
            "see whether a firewall, a security group or a NetworkPolicy drops the packets, and whether there is a route",
        )
    if isinstance(error, FileNotFoundError):
        return failed(f"there is no socket {where}", f"start the server, or correct {address.variable}")
    return failed(
        f"{where} cannot be reached: {error.strerror or error}", f"see whether there is a route, and {address.variable}"
    )

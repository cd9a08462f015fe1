"""Whether the names of servers have addresses here: what `nslookup` and `dig` are asked for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from telemetry.doctor.address import Address
from telemetry.doctor.finding import Judgement, failed, ok


def check(addresses: Sequence[Address]) -> Judgement:
    """Look up each name as the product does, with the files and name servers of this machine."""
    known = []
    for address in addresses:
        try:
            entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            return unknown(address, error)
        known.append(destination(address.host, list(dict.fromkeys(str(item[4][0]) for item in entries))))
    return ok("; ".join(known))


def destination(host: str, addresses: Sequence[str]) -> str:
    """What a name leads to."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"{host} is {', '.join(addresses)}"
    return f"{host} is an address and needs no name"


def unknown(address: Address, error: Exception) -> Judgement:
    """Say who did not know the name: nobody, or a name server that does not answer."""
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return failed(
            f"no name server answers for {address.host}",
            "see whether /etc/resolv.conf names a server that answers here; in Kubernetes, whether a NetworkPolicy lets "
            "pods ask port 53",
        )
    return failed(
        f"{address.host} has no address here",
        f"see whether {address.variable} spells it right; in another namespace or cluster the short name of a Service is "
        "unknown: write <service>.<namespace>.svc, or a name that both clusters know",
    )

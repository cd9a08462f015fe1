"""Several brokers: how their list is written, and which of them an edge takes. Pure.

An edge takes the broker whose name, hashed with its own, is the largest (rendezvous hashing). So a broker that is added takes
its share of the edges from all others, and no other edge moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from telemetry.settings import parsers

# Name and URL of each.
Brokers = tuple[tuple[str, str], ...]
FORM = "north=redis://host:6379/0 south=redis://host:6379/0"


def named_urls(raw: str) -> Brokers:
    """The brokers of a text, their URLs apart by white space. Raises ValueError, whose text shows no secret."""
    brokers: dict[str, str] = {}
    for number, word in enumerate(raw.split(), 1):
        name, equals, url = word.partition("=")
        if not equals or "://" in name:
            raise ValueError(f"must name each broker, as in {FORM}; number {number} has no name")
        if parsers.name(name) in brokers:
            raise ValueError(f"names {name} twice")
        try:
            parsed = parsers.broker_url(url)
        except ValueError as error:
            raise ValueError(f"{error}, in the URL of {name}") from None
        if same := next((other for other, known in brokers.items() if known == parsed), None):
            raise ValueError(f"has one URL for {same} and {name}; each needs a server of its own")
        brokers[name] = parsed
    return tuple(brokers.items())


def names(raw: str) -> tuple[str, ...]:
    """Names of brokers."""
    return tuple(map(parsers.name, parsers.words(raw.replace(" ", ","))))


def chosen(names: Sequence[str], edge: str) -> str:
    """The one of some brokers that an edge takes. Raises ValueError if there is none."""
    return max(names, key=lambda name: (sha256(f"{name}\0{edge}".encode()).digest(), name))


def own(known: Sequence[str], named: str, drained: Sequence[str], edge: str | None) -> str:
    """The name of the broker that a process uses: the one that is `named`, else that of its edge, and without one the first.

    An edge leaves one that is drained, named or not; a collector that serves it goes on. Raises ValueError for a setting that
    cannot be.
    """
    for variable, value in (("BROKER_NAME", named), *(("BROKER_DRAINED", name) for name in drained)):
        if value and value not in known:
            raise ValueError(f"TELEMETRY_{variable} names {value}, and TELEMETRY_BROKER_URLS has only {', '.join(known)}")
    staying = [name for name in known if name not in drained]
    if not staying:
        raise ValueError("TELEMETRY_BROKER_DRAINED names all brokers; leave one for the edges")
    if edge is None:
        return named or staying[0]
    return named if named in staying else chosen(staying, edge)

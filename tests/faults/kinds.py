"""The kinds of sites that the soak makes: which faults each can have, and which are dealt to a run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults import secured
from tests.faults.breaking import (
    FAULTS,
    NETWORK_FAULTS,
    SENTINEL_FAULTS,
    SEVERAL_FAULTS,
    SOAK_FAULTS,
    STANDBY_FAULTS,
    backups,
    databases,
    processes,
)
from tests.faults.fault import Fault
from tests.faults.fleet import Fleet

FEWEST, MOST = 6, 8
ALL_FAULTS = {**FAULTS, **NETWORK_FAULTS, **SOAK_FAULTS}
# With sentinels it is they who heal the broker, and the network has no proxies.
OF_SERVERS = {module.__name__ for module in (backups, databases, processes)}
OF_OTHERS = {name: fault for name, fault in FAULTS.items() if fault.__module__ in OF_SERVERS}
WITH_SENTINELS = {**OF_OTHERS, **SENTINEL_FAULTS}
WITH_SEVERAL = {**OF_OTHERS, **SEVERAL_FAULTS}
# Whatever puts files of the database back would leave the standby behind. One of the standby's own comes in each run.
PUT_FILES_BACK = {name for name, fault in ALL_FAULTS.items() if fault.__module__ == backups.__name__}
UNFIT_FOR_A_STANDBY = {*PUT_FILES_BACK, "fill_disk", "fill_disk_of_database"}
WITH_A_STANDBY = {name: fault for name, fault in OF_OTHERS.items() if name not in UNFIT_FOR_A_STANDBY}
EVERY_FAULT = {**ALL_FAULTS, **SENTINEL_FAULTS, **SEVERAL_FAULTS, **STANDBY_FAULTS}
KILLED = ("kill_one_broker", "lose_one_broker")
WITH_USERS = {name: fault for name, fault in ALL_FAULTS.items() if name not in secured.NOT_SECURED}


@dataclass(frozen=True)
class Kind:
    """A kind of site: the faults that it can have, and what makes it.

    Of each group in `always` one strikes in each run, whatever the deck deals; that deals `fewer`.
    """

    faults: Mapping[str, Fault]
    options: Mapping[str, Any]
    always: Sequence[Sequence[str]] = ()
    fewer: int = 0


PLAIN = Kind(ALL_FAULTS, {"proxied": True})
SENTINELS = Kind(WITH_SENTINELS, {"sentinels": True})
BROKERS = Kind(WITH_SEVERAL, {"kind": Fleet})
STANDBY = Kind(WITH_A_STANDBY, {"with_standby": True}, (list(STANDBY_FAULTS),))
SECURE = Kind(WITH_USERS, {"proxied": True, "secure": True})
BEYOND = (
    Kind(
        WITH_A_STANDBY | SENTINEL_FAULTS,
        {"sentinels": True, "with_standby": True},
        (list(SENTINEL_FAULTS), list(STANDBY_FAULTS)),
        fewer=2,
    ),
    Kind(
        WITH_A_STANDBY | SEVERAL_FAULTS,
        {"kind": Fleet, "with_standby": True},
        (KILLED, ("add_a_broker",), list(STANDBY_FAULTS)),
        fewer=3,
    ),
)


def kinds_of(options: argparse.Namespace) -> list[Kind]:
    """The kinds of sites, which come by turns."""
    if options.beyond:
        return [*BEYOND]
    if options.sentinels:
        return [SENTINELS]
    if options.brokers > 1:
        return [BROKERS]
    if options.standby:
        return [STANDBY]
    return [SECURE if options.secure else PLAIN]


def hands(random: Random, chosen: Sequence[str] | None, kind: Kind) -> Iterator[list[str]]:
    """The faults of each run: dealt from a deck that is shuffled anew when it is used up, and those that always come.

    The deck has all faults of the kind, or those that are chosen.
    """
    names, deck = list(chosen or kind.faults), list[str]()
    while True:
        hand: list[str] = []
        for _ in range(random.randint(FEWEST, MOST) - kind.fewer):
            deck = deck or random.sample(names, len(names))
            hand.append(deck.pop())
        for group in kind.always:
            hand.insert(random.randrange(len(hand) + 1), random.choice(group))
        yield hand

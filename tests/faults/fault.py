"""What a fault is: it takes a running site, breaks something of it while rows flow, and heals it.

A fault returns when the system is whole again, as far as an operator would make it so; the rest it must do by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from tests.faults.site import Site

Fault = Callable[[Site, Random], None]
FAULTS: dict[str, Fault] = {}
NETWORK_FAULTS: dict[str, Fault] = {}
SENTINEL_FAULTS: dict[str, Fault] = {}
STANDBY_FAULTS: dict[str, Fault] = {}
SEVERAL_FAULTS: dict[str, Fault] = {}
SOAK_FAULTS: dict[str, Fault] = {}


def fault(function: Fault) -> Fault:
    """Enter a fault in the list, under its name."""
    FAULTS[function.__name__] = function
    return function


def soak_fault(function: Fault) -> Fault:
    """Enter a fault that takes too long, or needs too much of the machine, for every run of the tests."""
    SOAK_FAULTS[function.__name__] = function
    return function


class SkipError(Exception):
    """A fault cannot be made on this machine; the text says why."""


def network_fault(function: Fault) -> Fault:
    """Enter a fault that needs `site(proxied=True)`."""
    NETWORK_FAULTS[function.__name__] = function
    return function


def sentinel_fault(function: Fault) -> Fault:
    """Enter a fault that needs `site(sentinels=True)`."""
    SENTINEL_FAULTS[function.__name__] = function
    return function


def standby_fault(function: Fault) -> Fault:
    """Enter a fault that needs `site(with_standby=True)`; it uses the standby up."""
    STANDBY_FAULTS[function.__name__] = function
    return function


def pause(random: Random, most_s: float = 1.0) -> None:
    """Let a little time pass, a random one: faults must not fall on the same moment of a tick each time."""
    time.sleep(random.uniform(0.05, most_s))


def several_fault(function: Fault) -> Fault:
    """Enter a fault that needs `site(kind=Fleet)`: several brokers."""
    SEVERAL_FAULTS[function.__name__] = function
    return function

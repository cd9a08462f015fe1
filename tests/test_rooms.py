"""The package's docstring lists its rooms, in the order in which they import each other."""

from __future__ import annotations

import configparser
import pkgutil
import re
from pathlib import Path

import telemetry


def test_each_room_is_listed_in_the_order_of_imports() -> None:
    listed = re.findall(r"(?m)^`(\w+)` ", str(telemetry.__doc__))
    assert len(listed) == len(set(listed))
    assert set(listed) == {module.name for module in pkgutil.iter_modules(telemetry.__path__) if module.name != "__main__"}
    layers = [set(re.split(r"\s*\|\s*", line)) for line in contract()]
    floors = [next(floor for floor, rooms in enumerate(layers) if room in rooms) for room in listed]
    assert floors == sorted(floors)


def contract() -> list[str]:
    """The floors of the house, the highest first, as import-linter checks them."""
    parser = configparser.ConfigParser()
    parser.read(Path(__file__).parents[1] / "setup.cfg")
    return parser["importlinter:contract:layers"]["layers"].split("\n")[1:]

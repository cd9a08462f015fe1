"""Which processes `telemetry up` runs: they start in the order of their lines in the Procfile, and stop in stages.

How they are started and ended is `supervisor`'s.
"""

from __future__ import annotations

from pathlib import Path

from honcho.environ import parse_procfile

# The order of a stop: first nothing new is published, then collectors store what is under way, then the readers end.
STAGES = (("beat", "streamer", "uploads"), ("collector",), ("api", "flower", "exporter"))
# The variables of the Procfile for the ports that users see; the others are NAME_METRICS_PORT.
SHOWN_PORTS = {"api": "PORT", "flower": "FLOWER_PORT"}


def read_procfile(path: Path) -> dict[str, str]:
    """The commands of a Procfile by their names, in the order of their lines."""
    return dict(parse_procfile(path.read_text(encoding="utf-8")).processes)


def port_variable(name: str) -> str:
    """The variable in which the Procfile looks for the port of a process."""
    return SHOWN_PORTS.get(name, f"{name.upper()}_METRICS_PORT")

"""A mapping: what the columns of a wide file mean, as its operator says it.

Where it is written is `telemetry.settings.mappings`; who reads by it is the format `mapped`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

# What a column, or a part of a column's name, may say of a GPU.
ROLES = ("index", "uuid", "pci", "host", "model")
# What may stand in the name of a column of values, in braces.
PLACEHOLDERS = ("index", "uuid", "host")
RFC3339, LOCAL = "rfc3339", "local"
# Digits of a second that a unit is: a form is `epoch_ms` or `elapsed_ms`.
SCALES = {"s": 0, "ms": 3, "us": 6, "ns": 9}
EPOCH, ELAPSED = (tuple(f"{kind}_{unit}" for unit in SCALES) for kind in ("epoch", "elapsed"))
FORMS = (RFC3339, LOCAL, *EPOCH, *ELAPSED)
# What may stand in a pattern of a time: letters of strptime.
DIRECTIVES = "YymbdHIpMSfz%"
DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)


class Measured(NamedTuple):
    """A column of values: its name, or a pattern of names, the metric, and the unit of its cells ("" where it has none)."""

    column: str
    metric: str
    unit: str


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """`time` are the columns of the time, joined by a blank, and `form` is one of FORMS, or a pattern with DIRECTIVES.

    `since_us` is where elapsed times begin. `gpu` are pairs of one of ROLES and a column, `labels` of a label and a column;
    `uuid` and `model` hold for each record. `none` are words for no value, `ignore` patterns of columns that are not read.
    Tuples are sorted, so that the same said in another order is the same.
    """

    time: tuple[str, ...]
    form: str
    metrics: tuple[Measured, ...]
    since_us: int | None = None
    gpu: tuple[tuple[str, str], ...] = ()
    uuid: str = ""
    model: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    delimiter: str = ","
    decimal: str = "."
    thousands: str = ""
    none: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def needs_zone(self) -> bool:
        """Whether its times are those of a clock on the wall, of whatever zone."""
        return self.form == LOCAL or (self.form not in FORMS and "z" not in DIRECTIVE.findall(self.form))

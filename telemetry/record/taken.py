"""What was read of a GPU at one time, and its line in the dcgm form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


class SourceError(Exception):
    """Nothing could be read; the text says why, and what to do. It is tried again after `again_s`, if turns are not longer."""

    again_s = 0.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its labels name it. `index` is empty where nothing says it."""

    uuid: str
    index: str = ""
    device: str = ""
    model: str = ""
    host: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def under(self, **labels: str) -> Gpu:
        """The same GPU with more labels."""
        return replace(self, labels=self.labels | labels)


@dataclass(frozen=True, slots=True)
class Taken:
    """A metric of a GPU. `at_s` is its own time in seconds since 1970, None where the time of the reading counts."""

    metric: str
    gpu: Gpu
    value: float
    at_s: float | None = None


def lines(readings: Iterable[Taken], now_s: float) -> bytes:
    """Their lines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for one in readings:
        gpu = one.gpu
        user = [gpu.labels.get(name, "") for name in ("container", "pod", "namespace")]
        named = [gpu.index, gpu.device, gpu.uuid, gpu.model, gpu.host]
        at = stamp(now_s) if one.at_s is None else stamp(one.at_s, "microseconds")
        cells = [at, one.metric, *named, *user, number(one.value), raw(gpu.labels)]
        # A carriage return alone ends a record, for some readers.
        writer.writerow([cell.replace("\r", " ") for cell in cells])
    return text.getvalue().encode()


def stamp(at_s: float, timespec: str = "milliseconds") -> str:
    """A time in UTC with so many digits."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def number(value: float) -> str:
    """A value with all its digits, a whole one without a fraction."""
    return str(int(value)) if value.is_integer() and abs(value) < 1 << 63 else repr(value)


def raw(labels: dict[str, str]) -> str:
    """Labels as Prometheus writes them. A name in another form has no place there, nor in the dcgm format."""

    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return ",".join(f'{name}="{quoted(value)}"' for name, value in sorted(labels.items()) if value and NAME.fullmatch(name))

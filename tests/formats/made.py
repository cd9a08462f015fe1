"""25 files in the shapes that tools and people write, with what each of their lines is: the writer knows, no reader is asked.

A file is made of lines of known kinds in a drawn order. `Truth` counts readings by class, and physical lines that are not read.
"""

from __future__ import annotations

import gzip
import lzma
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

DCGM = ("timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "pod", "value", "labels_raw")
SHORT = ("timestamp", "metric_name", "gpu_id", "uuid", "Hostname", "value")
SMI = "timestamp, index, utilization.gpu [%], power.draw [W], temperature.gpu"
# What the edge's sources file says of these files.
SAID = """[[source]]
path = "*/smi*.csv"
time_zone = "Europe/Berlin"
host_from_path = '([^/]+)\\.csv'

[[source]]
path = "*/fields*.csv"
host_from_path = '([^/]+)\\.csv'

[[source]]
path = "*/dmon*.csv"
host_from_path = '([^/]+)\\.csv'
time_zone = "UTC"
date = 2026-11-05

[[source]]
path = "*/wide*.csv"
host_from_path = '([^/]+)\\.csv'
gpu_index = 0
time = { column = "t", form = "epoch_s" }
ignore = ["note"]
[source.metrics]
watts = "DCGM_FI_DEV_POWER_USAGE"
"""


@dataclass
class Made:
    """A file in the making."""

    random: Random
    gpu: str
    lines: list[str] = field(default_factory=list)
    truth: Counter[str] = field(default_factory=Counter)
    second: int = 0

    def add(self, line: str, **classes: int) -> None:
        """A line that is these readings."""
        self.lines.append(line)
        self.truth.update(classes)

    def tick(self) -> int:
        """A second that no line before has."""
        self.second += 1
        return self.second


def clock(second: int, between: str = "T") -> str:
    """A time of a day."""
    return f"2026-11-05{between}{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def long_line(made: Made, columns: tuple[str, ...], **cells: str) -> str:
    """A line of the dcgm format, a reading unless the cells say something else."""
    own = {
        "timestamp": f"{clock(made.tick())}Z",
        "metric_name": "DCGM_FI_DEV_POWER_USAGE",
        "gpu_id": "3",
        "uuid": made.gpu,
        "Hostname": "node-a",
        "value": f"{made.random.randint(1, 700)}.25",
        "labels_raw": '"rack=""r1"""',
    }
    return ",".join((own | cells).get(name, "") for name in columns)


def long_lines(made: Made, columns: tuple[str, ...], number: int = 30) -> None:
    """Lines of every kind, at least one of each, under a header of the dcgm format."""

    def line(**cells: str) -> str:
        return long_line(made, columns, **cells)

    def again(value: str) -> None:
        made.second -= 1
        made.add(line(value=value), **({"duplicate": 1} if value == kept else {"conflict": 1}))

    kinds: list[Callable[[], None]] = [
        lambda: made.add(line(), stored=1),
        *(lambda word=word: made.add(line(value=word), blank=1) for word in ("", "N/A", "[Not Supported]", "nan", "--")),
        *(lambda word=word: made.add(line(value=word), quarantined=1) for word in ("ERR!", "1 2", "0x1f", "inf", "12 W")),
        *(lambda word=word: made.add(line(timestamp=word), quarantined=1) for word in ("2026-11-05T10:00:00", "yesterday", "")),
        lambda: made.add(line(uuid="[Unknown Error]", Hostname="N/A"), quarantined=1),
        lambda: made.add(line(metric_name=""), quarantined=1),
        lambda: made.add(line()[: made.random.randint(30, 34)], quarantined=1),
        lambda: made.add(line() + ",surplus,cells", quarantined=1),
        lambda: made.add(line(timestamp="1850-01-01T00:00:00Z"), quarantined=1),
        lambda: made.add(",".join(columns)),
        lambda: made.add(""),
        lambda: made.add(line(Hostname='"no""de"'), stored=1),
    ]
    drawn = kinds + made.random.choices(kinds, k=number)
    made.random.shuffle(drawn)
    for kind in drawn:
        kind()
        if made.random.random() < 0.2:
            kept = f"{made.random.randint(1, 700)}"
            made.add(line(value=kept), stored=1)
            again(made.random.choice((kept, "0.5")))


def dcgm(made: Made) -> bytes:
    """A dump of dcgm-exporter, its columns in any order."""
    columns = tuple(made.random.sample(DCGM, len(DCGM)))
    made.lines.append(",".join(columns))
    long_lines(made, columns)
    return text(made)


def short(made: Made) -> bytes:
    """The fewest columns, below comments and blank lines."""
    made.lines += ["# by a script", "", ",".join(SHORT)]
    long_lines(made, SHORT)
    return text(made)


def joined(made: Made) -> bytes:
    """Two dumps with other columns, and a log between them that nobody can read without more being said."""
    other = (*reversed(SHORT), "rack")
    made.lines.append(",".join(SHORT))
    long_lines(made, SHORT, 10)
    made.add("time, card, load [%], draw [W]", unread=1)
    for _ in range(5):
        made.add(f"{clock(made.tick(), ' ')}, 0, 92, 301", unread=1)
    made.lines.append(",".join(other))
    long_lines(made, other, 10)
    return text(made)


def smi(made: Made) -> bytes:
    """A log of nvidia-smi, its header written again at times."""
    made.lines.append(SMI)
    for _ in range(20):
        stamp = f"{clock(made.tick(), ' ').replace('-', '/')}.250"
        made.add(f"{stamp}, 1, 92 %, {made.random.randint(60, 700)}.10 W, [N/A]", stored=2, blank=1)
        if made.random.random() < 0.3:
            made.lines.append(SMI)
    made.add(f"{clock(made.tick(), ' ').replace('-', '/')}.250, 1, [Unknown Error], [N/A], [N/A]", blank=3)
    return text(made)


def fields(made: Made) -> bytes:
    """A job's dump of DCGM's fields."""
    made.lines.append("GPUId,TimeStampUs,Field,Values")
    for _ in range(20):
        made.add(f"0,{1_793_836_800_000_000 + made.tick() * 1_000_000},power_usage,{made.random.randint(60, 700)}.5", stored=1)
    made.add(f"0,{1_793_836_800_000_000 + made.tick() * 1_000_000},power_usage,9223372036854775808", blank=1)
    return text(made)


def dmon(made: Made) -> bytes:
    """nvidia-smi dmon as CSV, over a midnight."""
    made.lines += ["#Time,gpu,pwr,gtemp,sm", "#HH:MM:SS,Idx,W,C,%"]
    for hour in ("22:00:00", "23:59:59", "00:00:01"):
        made.add(f" {hour}, 0, {made.random.randint(60, 700)}, -, 92", stored=2, blank=1)
    return text(made)


def wide(made: Made) -> bytes:
    """A home-made table, read by a mapping."""
    made.lines.append("t,watts,note")
    for _ in range(20):
        made.add(f"{1_793_836_800 + made.tick()},{made.random.randint(60, 700)},ok", stored=1)
    made.add(f"{1_793_836_800 + made.tick()},,ok", blank=1)
    return text(made)


def foreign(made: Made) -> bytes:
    """A table that nobody knows."""
    made.add("Zeit;Karte;Leistung", unread=1)
    for _ in range(made.random.randint(1, 9)):
        made.add(f"{made.tick()};0;301,5", unread=1)
    return text(made)


def headerless(made: Made) -> bytes:
    """A log of nvidia-smi without its header."""
    for _ in range(5):
        made.add(f"{clock(made.tick(), ' ')}, 0, 92 %, 301.22 W", unread=1)
    return text(made)


def text(made: Made) -> bytes:
    """The lines as bytes."""
    return "".join(f"{line}\n" for line in made.lines).encode()


def windows(made: Made) -> bytes:
    """With a byte order mark and CRLF, as Windows writes it."""
    return b"\xef\xbb\xbf" + dcgm(made).replace(b"\n", b"\r\n")


def powershell(made: Made) -> bytes:
    """UTF-16 with its mark."""
    return short(made).decode().encode("utf-16")


def packed(made: Made) -> bytes:
    """Gzip."""
    return gzip.compress(dcgm(made), mtime=0)


def tight(made: Made) -> bytes:
    """Xz."""
    return lzma.compress(joined(made))


def cut(made: Made) -> bytes:
    """Gzip of which the end is missing: nothing of it is read."""
    data = gzip.compress(dcgm(made), mtime=0)[:-9]
    made.truth = Counter(unread=data.count(b"\n") + (not data.endswith(b"\n")))
    return data


# 25 files: their names, without the ending, and how they are written.
SHAPES: dict[str, Callable[[Made], bytes]] = {
    **{f"dcgm{n}": dcgm for n in range(4)},
    **{f"short{n}": short for n in range(2)},
    **{f"joined{n}": joined for n in range(3)},
    **{f"smi-node{n}": smi for n in range(3)},
    **{f"fields{n}": fields for n in range(2)},
    "dmon0": dmon,
    **{f"wide{n}": wide for n in range(2)},
    **{f"foreign{n}": foreign for n in range(2)},
    "headerless0": headerless,
    "windows0": windows,
    "powershell0": powershell,
    **{f"packed{n}": packed for n in range(1)},
    "tight0": tight,
    "cut0": cut,
}


def make(seed: int) -> dict[str, tuple[bytes, Counter[str]]]:
    """The files by name, each with its truth."""
    files: dict[str, tuple[bytes, Counter[str]]] = {}
    for number, (name, write) in enumerate(SHAPES.items()):
        made = Made(Random(f"{seed} {name}"), f"GPU-{number}")  # noqa: S311 - test data
        data = write(made)
        files[name] = (data, made.truth)
    return files

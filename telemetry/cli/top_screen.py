"""What `telemetry top` shows: a screen as lines of text, made of GPUs, a size, and an order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from telemetry.cli.foreign import plain
from telemetry.cli.quantities import counted, duration
from telemetry.readings.owners import parts

Gpu = Mapping[str, Any]
Style = Literal["", "bold", "reverse", "warning", "bad"]
HOT_C = 85
BAR = 8
HELP = "order by h)ost u)til t)emp p)ower m)emory o)wner a)ge  r)everse  / find  q)uit"
UTIL, TEMP, POWER, MEMORY = (f"DCGM_FI_DEV_{name}" for name in ("GPU_UTIL", "GPU_TEMP", "POWER_USAGE", "FB_USED"))
METRICS = (UTIL, TEMP, POWER, MEMORY)
# Of an owner's parts, those that tell most.
WHOSE = ("namespace", "user", "pod", "job")


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose: the column that orders, the direction, words to find, and the first line that is shown."""

    order: str = "h"
    is_reversed: bool = False
    text: str = ""
    first: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the screen."""

    text: str
    style: Style = ""


def _value(metric: str) -> Callable[[Gpu], Any]:
    """The value of a metric, turned round: the largest comes first, and what is unknown last."""
    return lambda gpu: inf if gpu["values"].get(metric) is None else -gpu["values"][metric]


def _place(gpu: Gpu) -> tuple[str, int]:
    return gpu["host"] or gpu["id"], -1 if gpu["index"] is None else gpu["index"]


# By the key that chooses it.
ORDERS: dict[str, tuple[str, Callable[[Gpu], Any]]] = {
    "h": ("host", _place),
    "u": ("util", _value(UTIL)),
    "t": ("temp", _value(TEMP)),
    "p": ("power", _value(POWER)),
    "m": ("memory", _value(MEMORY)),
    "o": ("owner", lambda gpu: owner(gpu) or "\U0010ffff"),
    "a": ("age", lambda gpu: -_age_s(gpu)),
}


def screen(gpus: Sequence[Gpu], view: View, columns: int, lines: int, trouble: str = "") -> list[Row]:
    """The whole screen, `lines` rows at most, each `columns` wide at most. `trouble` is what went wrong at the last look."""
    if trouble and not gpus:
        return [*[Row("")] * (lines - 1), Row(plain(trouble)[:columns], "bad")]
    shown = chosen(gpus, view)
    room = max(1, lines - 3)
    first = min(view.first, max(0, len(shown) - room))
    rows = [_summary(gpus, shown, view), Row(_line(HEADS, columns), "reverse")]
    rows += [Row(_line(_cells(gpu), columns), _style(gpu)) for gpu in shown[first : first + room]]
    if not gpus:
        rows.append(Row("No GPU has sent a reading yet. Send some: telemetry ingest FILE.csv"))
    rows += [Row("")] * (lines - 1 - len(rows))
    rows.append(Row(trouble, "bad") if trouble else Row(HELP))
    return [Row(plain(row.text)[:columns], row.style) for row in rows[:lines]]


def chosen(gpus: Sequence[Gpu], view: View) -> list[Gpu]:
    """The GPUs in which all words of the view are found, in its order."""
    words = view.text.lower().split()
    kept = [gpu for gpu in gpus if all(word in _words(gpu) for word in words)]
    key = ORDERS[view.order][1]
    return sorted(sorted(kept, key=_place), key=key, reverse=view.is_reversed)


def pressed(view: View, key: str, room: int) -> View:
    """The view after a key: a letter of ORDERS, `r`, or a move by lines. A letter pressed twice turns the order round."""
    moves = {"up": -1, "down": 1, "pageup": -room, "pagedown": room, "home": -view.first}
    if key in ORDERS:
        return View(key, view.order == key and not view.is_reversed, view.text)
    if key == "r":
        return View(view.order, not view.is_reversed, view.text)
    return View(view.order, view.is_reversed, view.text, max(0, view.first + moves.get(key, 0)))


def owner(gpu: Gpu) -> str:
    """Who has a GPU."""
    whose = parts(gpu["owner"])
    return "/".join(whose[name] or "" for name in WHOSE if whose[name])


def aged(gpus: Sequence[Gpu], seconds: float) -> list[dict[str, Any]]:
    """The GPUs as they were read so many seconds ago."""
    return [{**gpu, "silent_for_s": None if gpu["silent_for_s"] is None else gpu["silent_for_s"] + seconds} for gpu in gpus]


def is_silent(gpu: Gpu) -> bool:
    """Whether nothing was read of it for as long as the rules of health allow."""
    return _age_s(gpu) > float(gpu["silent_after_s"])


HEADS = ("GPU", "util", "", "temp", "power", "mem", "age", "! fault; owner")


def _cells(gpu: Gpu) -> tuple[str, ...]:
    util, temp, power, memory = (gpu["values"].get(metric) for metric in (UTIL, TEMP, POWER, MEMORY))
    bar = "" if util is None else "#" * round(min(100, max(0, util)) * BAR / 100)
    age = "never" if gpu["silent_for_s"] is None else duration(gpu["silent_for_s"])
    numbers = (_number(util, "%"), bar, _number(temp, "C"), _number(power, "W"))
    whose = (f"! {gpu['fault']}; " if gpu["fault"] else "") + (owner(gpu) or "-")
    return _name(gpu), *numbers, _number(None if memory is None else memory / 1024, "G"), age, whose


def _line(cells: Sequence[str], columns: int) -> str:
    """Cells in columns that fit 80; what is left is shared by the GPU's name and its owner."""
    name = max(16, min(40, 16 + (columns - 80) // 2))
    widths = (name, 5, BAR, 5, 6, 5, 7)
    name_cell = cells[0] if len(cells[0]) <= name else f"{cells[0][: name // 2 - 1]}~{cells[0][-(name - name // 2) :]}"
    fixed = [name_cell.ljust(name), cells[1].rjust(5), cells[2].ljust(BAR)]
    fixed += [cell.rjust(width) for cell, width in zip(cells[3:7], widths[3:], strict=True)]
    return f"{' '.join(fixed)}  {cells[7]}".ljust(columns)[:columns]


def _summary(gpus: Sequence[Gpu], shown: Sequence[Gpu], view: View) -> Row:
    silent = sum(map(is_silent, gpus))
    faulty = sum(gpu["fault"] is not None for gpu in gpus)
    held = sum(bool(owner(gpu)) for gpu in gpus)
    kilowatts = sum(gpu["values"].get(POWER) or 0 for gpu in gpus) / 1000
    hits = f", {len(shown):,} found by {view.text!r}" if view.text else ""
    order = f"by {ORDERS[view.order][0]}{', the other way round' if view.is_reversed else ''}"
    text = (
        f"{counted(len(gpus), 'GPU')}, {silent:,} silent, {faulty:,} faulty, {held:,} held, {kilowatts:.1f} kW{hits}; {order}"
    )
    return Row(text, "bold")


def _style(gpu: Gpu) -> Style:
    if is_silent(gpu) and not gpu["fault"]:
        return "warning"
    return "bad" if gpu["fault"] or (gpu["values"].get(TEMP) or 0) >= HOT_C else ""


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f}{unit}"


def _age_s(gpu: Gpu) -> float:
    return inf if gpu["silent_for_s"] is None else float(gpu["silent_for_s"])


def _name(gpu: Gpu) -> str:
    if gpu["host"] is None:
        return str(gpu["id"])
    return f"{gpu['host']}:{'?' if gpu['index'] is None else gpu['index']}"


def _words(gpu: Gpu) -> str:
    states = ["silent"] * is_silent(gpu) + [f"faulty {gpu['fault']}"] * (gpu["fault"] is not None)
    return " ".join(filter(None, (gpu["id"], _name(gpu), gpu["model"], owner(gpu), *states))).lower()

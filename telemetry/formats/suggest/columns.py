"""Finds what the columns of a table are beside its times: what names a GPU, labels, what is measured, what nobody knows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from telemetry.formats.mapped import INDEX
from telemetry.formats.suggest.table import Table
from telemetry.readings.vocabulary import Word, meaning

ROLES = {
    "index": re.compile(r"(?:gpu|card|device)[_ ]?(?:id|index|idx|no)?|index|idx", re.IGNORECASE),
    "uuid": re.compile(r"(?:gpu[_ .])?uuid", re.IGNORECASE),
    "pci": re.compile(r"(?:pci|gpu)?[_ .]?bus[_ .]?id|pci", re.IGNORECASE),
    "host": re.compile(r"host(?:[_ ]?name)?|node(?:[_ ]?name)?|machine(?:[_ ]?id)?|server", re.IGNORECASE),
    "model": re.compile(r"(?:gpu[_ .]?)?(?:name|model)(?:[_ ]?name)?", re.IGNORECASE),
}
# What a cell of a role looks like; of the others, like anything.
CELLS = {"index": INDEX, "uuid": re.compile(r"(?:GPU|MIG)-[0-9A-Za-z-]+")}
LABELS = re.compile(r"pod|namespace|container|user|(?:slurm[_ ]?)?job(?:[_ ]?id)?", re.IGNORECASE | re.ASCII)
# The number of a GPU within the name of a column.
NUMBERED = re.compile(r"((?:gpu|card|device|cuda)[_ :-]?)(\d{1,3})(?!\d)", re.IGNORECASE)


@dataclass(slots=True)
class Columns:
    """Columns by what they are: by role of a GPU, labels, what is measured, and the rest.

    Of a column of each GPU the pattern stands in `measured`, and in `numbered` where nobody knows what it measures.
    """

    gpu: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    measured: dict[str, Word] = field(default_factory=dict)
    numbered: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def found_columns(table: Table, times: tuple[str, ...]) -> Columns:
    """What the columns are that hold no time."""
    columns = Columns()
    names = [name for name in table.names if name and name not in times]
    metrics: set[str] = set()
    for name in names:
        if role := next((role for role in ROLES if role not in columns.gpu and _is(role, name, table.cells(name))), ""):
            columns.gpu[role] = name
        elif LABELS.fullmatch(name):
            columns.labels[name.lower().replace(" ", "_")] = name
        else:
            key = NUMBERED.sub(r"\1{index}", name, count=1)
            word = meaning(key.replace("{index}", "")) or meaning(name)
            if word is None and key != name:
                columns.numbered.setdefault(key, []).append(name)
            elif word is None or (word.metric in metrics and key not in columns.measured):
                columns.unknown.append(name)
            else:
                columns.measured[key] = word
                metrics.add(word.metric)
    return columns


def _is(role: str, name: str, cells: list[str]) -> bool:
    looks = CELLS.get(role)
    return bool(ROLES[role].fullmatch(name)) and (looks is None or all(map(looks.fullmatch, cells)))

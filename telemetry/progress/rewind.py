"""Sets a source back to what the ledger holds: after Postgres was restored, edges believe more to be committed than is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from telemetry.progress.window import Window
from telemetry.readings.digests import digest

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes [start, end) of a source that the ledger has, and the line they begin at."""

    start: int
    end: int
    line: int


def rewound(state: State, ledger: Iterable[Range]) -> State:
    """The state of a source as the ledger justifies it.

    If the ledger ends before the committed offset, that becomes the beginning of the last range of the contiguous prefix,
    as the line behind that range is not known: one batch is published again, and known to the ledger. The flights go in
    any case: some of them may be marked as acknowledged for commits that are forgotten.
    """
    begin, line = state["begin"]
    last = Range(begin, begin, line)
    for each in sorted(ledger, key=lambda each: (each.start, each.end)):
        if each.start > last.end:
            break
        if each.end > last.end:
            last = each
    former = Window.from_json(state["window"])
    if last.end >= former.committed:
        return {**state, "window": Window(former.committed, former.line).to_json()}
    window = Window(last.start, last.line)
    return {**state, "window": window.to_json(), "prefix": [last.start, last.start, digest(b"")]}

"""What people are told: one message of all findings that wait, grouped by what they say. Sending is `addresses`'s."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from telemetry.health.rules import Rules

# Beyond these nobody reads on, and chats cut a message off.
MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class Notice:
    """A finding that people have not heard of, or whose end they have not. `gpu` is as people know it, `owner` who had it."""

    id: int
    gpu: str
    model: str | None
    rule: str
    severity: str
    begun_at: datetime
    ended_at: datetime | None
    owner: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """A title and a text. `is_good`: it tells of nothing but ends."""

    title: str
    text: str
    is_good: bool


def message(rules: Rules, notices: Sequence[Notice]) -> Message:
    """One message of some findings: those that go on, then those that ended."""
    going = [notice for notice in notices if notice.ended_at is None]
    over = [notice for notice in notices if notice.ended_at is not None]
    lines = [*_lines(rules, going), *([""] if going and over else []), *_lines(rules, over)]
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more lines: GET /api/v1/health has all"]
    return Message(_title(rules, going or over), "\n".join(lines), not going)


def _title(rules: Rules, notices: Sequence[Notice]) -> str:
    is_over = notices[0].ended_at is not None
    gpus = sorted({notice.gpu for notice in notices})
    if len(gpus) > 1:
        return f"{len(gpus)} GPUs: over" if is_over else f"{len(gpus)} GPUs need attention"
    says = ", ".join(dict.fromkeys(rules.wording(notice.rule)[0] for notice in notices))
    return f"GPU {gpus[0]}: over: {says}" if is_over else f"GPU {gpus[0]}: {says}"


def _lines(rules: Rules, notices: Sequence[Notice]) -> Iterator[str]:
    """A paragraph for each rule, the gravest first: what it says and what to do, then the GPUs."""
    grave = ("faulty", "degraded", "note")
    ordered = sorted(notices, key=lambda notice: (grave.index(notice.severity), notice.rule, notice.gpu, notice.begun_at))
    for rule, some in groupby(ordered, key=lambda notice: notice.rule):
        says, action, is_heuristic = rules.wording(rule)
        of_rule = list(some)
        is_over = of_rule[0].ended_at is not None
        likely = " (a heuristic)" if is_heuristic else ""
        yield f"Over: {says}{likely}" if is_over else f"{of_rule[0].severity.capitalize()}: {says}{likely}. {action}"
        yield from (f"- {_line(notice)}" for notice in of_rule)


def _line(notice: Notice) -> str:
    model = f" ({notice.model})" if notice.model else ""
    until = f" until {_clock(notice.ended_at)}" if notice.ended_at else ""
    owner = ", ".join(f"{name} {value}" for name, value in sorted(notice.owner.items()))
    return f"{notice.gpu}{model} since {_clock(notice.begun_at)}{until}{f', had by {owner}' if owner else ''}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

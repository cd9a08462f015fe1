"""What is measured: one module a case, each a function from a bench to figures whose units stand in their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.cases import copy_binary, copy_text, end_to_end, messages, orm


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement. Those with `rounds` are made anew in each round, the others once, after them."""

    title: str
    run: Callable[[Bench], dict[str, float]]
    rounds: bool = True


CASES = {
    "copy": Case("raw binary COPY into the indexed partition", copy_binary.run),
    "large": Case("end to end, 5,000-row messages", end_to_end.large),
    "text": Case("COPY of the text, then one SQL normalise", copy_text.run),
    "small": Case("end to end, 100-row messages", end_to_end.small),
    "orm": Case("Celery and ORM, 100 rows a task", orm.run),
    "always": Case("end to end, 5,000-row messages, AOF always", end_to_end.always),
    "messages": Case("100-row messages from a full queue", messages.run),
}

"""What is measured: one module a case, each a function from a bench to figures whose units stand in their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.cases import (
    api,
    copy_binary,
    copy_text,
    edge,
    end_to_end,
    fleet,
    history,
    large_files,
    latency,
    messages,
    metrics,
    orm,
    outage,
    shared_file,
    smi,
    thousands,
)


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
    "smi": Case("logs of nvidia-smi end to end, and COPY of the same readings", smi.run),
    "small": Case("end to end, 100-row messages", end_to_end.small),
    "orm": Case("Celery and ORM, 100 rows a task", orm.run),
    "always": Case("end to end, 5,000-row messages, AOF always", end_to_end.always),
    "messages": Case("100-row messages from a full queue", messages.run),
    "latency": Case("publish to commit at half the load", latency.run, rounds=False),
    "history": Case("end to end with history stored already", history.run, rounds=False),
    "edge": Case("a real edge at 100 rows/s", edge.run, rounds=False),
    "outage": Case("catching up an hour of 1,000 rows/s", outage.run, rounds=False),
    "large_files": Case("files of 2 GB, as they are and packed", large_files.run, rounds=False),
    "shared_file": Case("a file of 2 GB, read by one process and by several", shared_file.run),
    "api": Case("the API beside SQL by hand", api.run, rounds=False),
    "metrics": Case("100-row messages with and without metrics", metrics.run, rounds=False),
    "fleet": Case("a fleet at 100 rows/s each", fleet.run, rounds=False),
    "thousands": Case("10,000 edges at 10 rows/s each, at one broker and at two", thousands.run, rounds=False),
}

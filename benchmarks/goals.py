"""What is asked of the figures: each goal is a figure, or the ratio of two, and a bound. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Figures = Mapping[str, list[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure, or the ratio of two, should be. A figure is named `case.figure`.

    It is judged only where all in `given`, figures with the least they must be, hold: a short run proves nothing.
    """

    title: str
    figure: str
    bound: float
    over: str | None = None
    most: bool = False
    given: tuple[tuple[str, float], ...] = ()

    def values(self, figures: Figures) -> list[float]:
        """One a round, a ratio within the round; empty if it was not measured."""
        above, below = rounds(figures, self.figure), rounds(figures, self.over) if self.over else None
        if below is None:
            return above
        return [a / b for a, b in zip(above, below, strict=False)]

    def holds(self, value: float) -> bool:
        """Whether the value reaches the bound."""
        compare: Callable[[float, float], bool] = operator.le if self.most else operator.ge
        return compare(value, self.bound)

    def judged(self, figures: Figures) -> bool:
        """Whether what was measured can tell."""
        return all(min(rounds(figures, name), default=0) >= least for name, least in self.given)


def rounds(figures: Figures, name: str) -> list[float]:
    """A figure, `case.figure`, in each round."""
    case, _, figure = name.partition(".")
    return [each[figure] for each in figures.get(case, []) if figure in each]


LARGE_FILE = (("large_files.file_mb", 2000.0),)
THOUSANDS = (("thousands.seconds", 600.0), ("thousands.edges", 10_000.0))
FLEET = (("fleet.seconds", 600.0), ("fleet.edges", 1000.0))


def _thousands(name: str, words: str) -> tuple[Goal, ...]:
    at = f"thousands.{name}_"
    return (
        Goal(f"{words}: rows acknowledged ÷ rows due", f"{at}acknowledged_share", 0.99, given=THOUSANDS),
        Goal(f"{words}: growth of the lag (s of rows)", f"{at}lag_growth_s", 1, most=True, given=THOUSANDS),
        Goal(f"{words}: all restarted, caught up after (s)", f"{at}caught_up_s", 120, most=True, given=THOUSANDS),
        Goal(
            f"{words}: rows published and not in the ledger, or there twice", f"{at}rows_astray", 0, most=True, given=THOUSANDS
        ),
        Goal(f"{words}: publisher late by at most (ms)", f"{at}publisher_late_ms", 1000, most=True, given=THOUSANDS),
    )


GOALS = (
    Goal("end to end, 5,000-row messages ÷ raw binary COPY", "large.rows_per_s", 0.7, "copy.rows_per_s"),
    Goal("end to end, 5,000-row messages ÷ COPY text and SQL normalise", "large.rows_per_s", 1.8, "text.rows_per_s"),
    Goal("end to end, 5,000-row messages ÷ Celery and ORM", "large.rows_per_s", 38, "orm.rows_per_s"),
    Goal(
        "logs of nvidia-smi: read at the edge ÷ raw binary COPY of the same readings",
        "smi.reading_rows_per_s",
        1.0,
        "smi.copy_rows_per_s",
    ),
    Goal(
        "logs of nvidia-smi: end to end ÷ raw binary COPY of the same readings",
        "smi.rows_per_s",
        1.0,
        "smi.copy_rows_per_s",
    ),
    Goal("end to end, 100-row messages ÷ Celery and ORM", "small.rows_per_s", 6, "orm.rows_per_s"),
    Goal("100-row messages/s ÷ no-op tasks/s", "messages.messages_per_s", 0.5, "messages.noop_messages_per_s"),
    Goal("100-row messages: bytes on the wire a reading", "messages.wire_bytes_per_reading", 31, most=True),
    Goal("fleet for ten minutes: rows acknowledged ÷ rows due", "fleet.acknowledged_share", 0.99, given=FLEET),
    Goal("fleet: growth of the lag from first to last third (s of rows)", "fleet.lag_growth_s", 1, most=True, given=FLEET),
    Goal("fleet: trend of the lag over the run (s of rows)", "fleet.lag_trend_s", 1, most=True, given=FLEET),
    Goal("fleet: growth of the real edge's lag (s of rows)", "fleet.real_edge_lag_growth_s", 1, most=True, given=FLEET),
    Goal("fleet: longest queue (s of messages)", "fleet.queued_most_s", 2, most=True, given=FLEET),
    Goal("fleet: rows published and not in the ledger, or there twice", "fleet.rows_astray", 0, most=True, given=FLEET),
    Goal("fleet: publisher late by at most (ms)", "fleet.publisher_late_ms", 1000, most=True, given=FLEET),
    *_thousands("one", "10,000 edges at one broker"),
    *_thousands("two", "10,000 edges at two brokers"),
    Goal("latency publish to acknowledged at half the load, p50 (ms)", "latency.p50_ms", 50, most=True),
    Goal("latency publish to acknowledged at half the load, p99 (ms)", "latency.p99_ms", 250, most=True),
    Goal("the same: publisher late by at most (ms)", "latency.publisher_late_ms", 250, most=True),
    Goal("ingest rate with 100 times the history ÷ with none", "history.ratio_at_100x", 0.85),
    Goal("streamer at 100 rows/s (percent of a core)", "edge.streamer_cpu_percent", 1, most=True),
    Goal("beat and streamer, private memory (MiB)", "edge.uss_mib", 200, most=True),
    Goal("catching up after an hour's outage at 1,000 rows/s (s)", "outage.seconds", 30, most=True),
    Goal("ingest rate with metrics ÷ without", "metrics.kept", 0.97),
    Goal("a file of 2 GB by telemetry ingest: memory (MiB)", "large_files.ingest_mib", 250, most=True, given=LARGE_FILE),
    Goal("the same, packed: memory (MiB)", "large_files.ingest_packed_mib", 250, most=True, given=LARGE_FILE),
    Goal("both by a streamer: memory (MiB)", "large_files.streamer_mib", 250, most=True, given=LARGE_FILE),
    Goal(
        "a file of 2 GB by telemetry ingest, two processes that read ÷ none beside it",
        "shared_file.rows_per_s",
        1.4,
        "shared_file.alone_rows_per_s",
        given=(("shared_file.file_mb", 2000.0),),
    ),
    Goal("a day of one metric: the API ÷ SQL by hand, p50", "api.day_p50_ms", 1.5, "api.day_by_hand_p50_ms", most=True),
    Goal("a CSV export of the API ÷ COPY TO STDOUT", "api.csv_rows_per_s", 0.7, "api.copy_rows_per_s"),
    Goal("8 clients at once: requests without an answer", "api.errors", 0, most=True),
    Goal("memory that grows while a CSV is exported (MiB)", "api.csv_growth_mib", 24, most=True),
    Goal("memory that grows while NDJSON is exported (MiB)", "api.ndjson_growth_mib", 24, most=True),
)

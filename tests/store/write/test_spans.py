"""Spans that schedulers tell of: however a job is told of, the minutes since it began are stored, none written twice."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings, strategies
from sqlalchemy import Engine, text

from telemetry.readings.tellers import KUBERNETES, KUBERNETES_HELD, SLURM, SLURM_HELD, TOLD_BY
from telemetry.store.write.spans import MINUTE_US, Span, Spans
from tests.batches import T0_US, key, readings
from tests.examples import examples
from tests.fixtures.services import Query
from tests.store.write.test_allocations import HELD as ALL_HELD
from tests.store.write.test_allocations import Process

TELLS = {"GPU-1": (SLURM_HELD, SLURM), "GPU-2": (KUBERNETES_HELD, KUBERNETES)}


def told(gpu: str, pod: str) -> str:
    """The series by which it is told that a pod has a GPU, of which another one tells than of the other."""
    metric, teller = TELLS[gpu]
    return key(metric, gpu, pod=pod, **{TOLD_BY: teller})


TEXTS = [told(gpu, pod) for gpu in TELLS for pod in ("a", "b")]
# So many seconds after T0, which is a quarter past eight in the evening, a job has had its GPU for so long.
ROWS = strategies.lists(
    strategies.tuples(strategies.sampled_from(TEXTS), strategies.integers(0, 15_000), strategies.integers(0, 9_000).map(float)),
    min_size=1,
)
Row = tuple[str, int, float]


def expected(rows: Sequence[Row]) -> set[tuple[str, int]]:
    """Text and minute of each span."""
    found = set()
    for series, second, held_s in rows:
        end_us = T0_US + second * 1_000_000
        first = (end_us - round(held_s * 1_000_000)) // MINUTE_US
        found |= {(series, minute) for minute in range(first, max(-(-end_us // MINUTE_US), first + 1))}
    return found


def stored(query: Query) -> set[tuple[str, int]]:
    """Text and minute of what is held."""
    return {
        (told(gpu, pod), minute)
        for gpu, _, pod, low, high in query(ALL_HELD)
        for minute in range(int(low.timestamp()) // 60, int(high.timestamp()) // 60)
    }


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=strategies.lists(ROWS, min_size=1, max_size=4), restarts=strategies.booleans())
def test_any_order_repetition_and_cutting_gives_the_same(
    engine: Engine, query: Query, batches: list[list[Row]], restarts: bool
) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE allocations"))
    process = Process(engine)
    for batch in [*batches, *reversed(batches)]:
        process.store(readings(*batch))
        process = Process(engine) if restarts else process
    assert stored(query) == expected([row for batch in batches for row in batch])


def test_of_a_job_that_runs_on_only_what_is_new_is_written() -> None:
    spans = Spans()
    assert spans.new([Span(1, 10, 20)]) == [Span(1, 10, 20)]
    spans.committed([Span(1, 10, 20)])
    assert spans.new([Span(1, 10, 20), Span(1, 12, 15)]) == []
    assert spans.new([Span(1, 10, 25), Span(2, 10, 25)]) == [Span(1, 20, 25), Span(2, 10, 25)]
    spans.committed([Span(1, 20, 25)])
    assert spans.new([Span(1, 10, 26)]) == [Span(1, 25, 26)]
    # Another allocation of the same owner, and one that began earlier than it was said before.
    assert spans.new([Span(1, 40, 50), Span(1, 5, 20)]) == [Span(1, 40, 50), Span(1, 5, 20)]


def test_a_span_is_not_stored_below_the_floor(engine: Engine, query: Query) -> None:
    process = Process(engine)
    floor_us = T0_US + 600 * 1_000_000
    process.store(readings((TEXTS[0], 900, 900.0)), floor_us=floor_us)
    assert min(minute for _, minute in stored(query)) == floor_us // MINUTE_US

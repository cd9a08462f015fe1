"""Judges the health of GPUs by the readings that came since the last time, and keeps what it finds as `findings`.

Readings of the last minutes are looked at by time; those that came late were marked by the transaction that stored them. What
is found depends on the readings and the rules alone, so that to judge once more, or in another order, changes nothing. Where
readings are looked at is `looks`'s, what they say is `telemetry.health`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, text

from telemetry.health import stretches
from telemetry.health.rules import PAUSE_S, SILENT, STRAGGLER, Rule, Rules
from telemetry.health.silences import silences
from telemetry.health.stragglers import STEP_S, stragglers
from telemetry.health.stretches import Look, Stretch
from telemetry.readings.arrays import Float64s, Int64s
from telemetry.settings import Settings
from telemetry.store.upkeep import findings, looks
from telemetry.store.upkeep.findings import Fired, Subject
from telemetry.store.upkeep.looks import Span

# How far a look at what is new reaches back before the one before: longer than what counts as in time when it is stored
# (`telemetry.store.write.unjudged`), and a transaction, together.
MARGIN = timedelta(minutes=5)
# From when on readings are judged that were there before anything was, or before a rule changed.
FIRST = timedelta(days=1)
# The most that one look covers, so that one after a long time takes no longer than others.
MOST_S = 3600
# Marks that are handled at once.
MARKS = 50
LEAST_S = 5.0
# A GPU that gained a stretch of a whole day by one reading has the rest of it looked at in pieces.
PIECE = timedelta(hours=1)
FUTURE = timedelta(hours=1)


def judge(connection: Connection, settings: Settings, limit: int = MOST_S) -> int:
    """Judge what came since the last time, at most `limit` seconds of it, and some marks.

    Returns `limit` if more may be left.
    """
    rules = settings.health_rules
    now = connection.scalar(text("SELECT clock_timestamp()"))
    assert isinstance(now, datetime)  # noqa: S101 - it is
    before, digest = findings.judged(connection)
    if before is not None and before > now + MARGIN:
        # A clock was ahead then.
        before = now - FIRST
    if before is None or digest != rules.digest:
        # What was stored late after the first reading of all was marked.
        first_seen = connection.scalar(text("SELECT min(first_seen) FROM gpus")) or now
        before = max(now - FIRST, first_seen - MARGIN) if before is None else now - FIRST
        findings.forget_rules(connection, [*rules.rules, SILENT, STRAGGLER], before)
    spans = findings.take(connection, max(1, MARKS * limit // MOST_S))
    is_more = bool(spans)
    until = before
    if (now - before).total_seconds() >= LEAST_S:
        until = min(now, before + timedelta(seconds=max(limit, MARGIN.total_seconds())))
        last = now + FUTURE if until == now else until
        since = before - MARGIN
        spans += [Span(gpu_id, since, last) for gpu_id in looks.alive(connection, since)]
        findings.set_judged(connection, until, rules.digest)
    for some in rounds(spans):
        _judge_spans(connection, rules, some, now)
    if until == now:
        silent_after = timedelta(seconds=rules.silent_after_s)
        since = before - MARGIN - silent_after - FIRST
        gone = [Span(gpu_id, since, now) for gpu_id in looks.fallen_silent(connection, since, now - silent_after)]
        _judge_silence(connection, rules, gone, now)
    return limit if is_more or before < until < now else 0


def rounds(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """The spans joined where they are near each other, as lists in which each GPU has one."""
    of: dict[int, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.gpu_id, span.since)):
        own = of[span.gpu_id]
        if own and span.since - own[-1].until <= PIECE:
            own[-1] = replace(own[-1], until=max(own[-1].until, span.until))
        else:
            own.append(span)
    while round_ := [own.pop(0) for own in of.values() if own]:
        yield round_


@dataclass(frozen=True, slots=True)
class _Series:
    """A series of which some rules may hold."""

    gpu_id: int
    series_id: int
    model: str | None
    rules: tuple[Rule, ...]
    during: tuple[int, ...]


def _judge_spans(connection: Connection, rules: Rules, spans: Sequence[Span], now: datetime) -> None:
    reaches = {
        metric: max([PAUSE_S] * any(rule.comparator == "increase_above" for rule in own) or [0.0])
        for metric, own in rules.by_metric.items()
    }
    reaches |= {rule.during.metric: PAUSE_S for rule in rules.rules.values() if rule.during}
    of_gpu = {span.gpu_id: span for span in spans}
    reach = timedelta(seconds=max([rule.reach_s for rule in rules.rules.values()] + [PAUSE_S]))
    known = findings.known(connection, of_gpu, min(span.since for span in spans) - reach)
    telling = _telling(rules, looks.extremes(connection, spans, reaches), known)
    after: dict[Subject, list[Fired]] = {}
    for series, rule, of_rule in _stretches(connection, telling, of_gpu, known):
        patience_us = int(rule.for_s * stretches.SECOND_US)
        after[series.gpu_id, series.series_id, rule.name] = [
            Fired(each, each.begun_us + patience_us, rule.kind, rule.severity) for each in of_rule
        ]
    findings.put(connection, known, after)
    _judge_silence(connection, rules, spans, now)
    if rules.straggler.is_enabled:
        for first, last in _times(spans):
            _judge_stragglers(connection, rules, first, min(last, now))


def _times(spans: Iterable[Span]) -> list[tuple[datetime, datetime]]:
    """The times of some spans, joined where they are near each other."""
    times: list[tuple[datetime, datetime]] = []
    for since, until in sorted((span.since, span.until) for span in spans):
        if times and since - times[-1][1] <= PIECE:
            times[-1] = times[-1][0], max(until, times[-1][1])
        else:
            times.append((since, until))
    return times


def _telling(rules: Rules, rows: Sequence[Row[Any]], known: Mapping[Subject, Sequence[Stretch]]) -> list[_Series]:
    """The series of which a rule may hold, by the extremes of their readings, or held before."""
    highest: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        highest[row.gpu_id, row.metric].append((row.series_id, row.high))
    candidates = []
    for row in rows:
        own = tuple(
            rule
            for rule in rules.by_metric.get(row.metric, ())
            if (row.gpu_id, row.series_id, rule.name) in known
            or (
                rule.may_hold(row.low, row.high, row.model)
                and (
                    rule.during is None
                    or any(high >= rule.during.at_least for _, high in highest[row.gpu_id, rule.during.metric])
                )
            )
        )
        if own:
            during = {series for rule in own if rule.during for series, _ in highest[row.gpu_id, rule.during.metric]}
            candidates.append(_Series(row.gpu_id, row.series_id, row.model, own, tuple(sorted(during))))
    return candidates


def _stretches(
    connection: Connection, some: Sequence[_Series], spans: Mapping[int, Span], known: Mapping[Subject, Sequence[Stretch]]
) -> Iterator[tuple[_Series, Rule, list[Stretch]]]:
    """What the readings near the spans say of each series and rule, with what was known of the time beyond."""
    asked = [(series.series_id, spans[series.gpu_id].since, spans[series.gpu_id].until) for series in some]
    untils = looks.following(connection, asked)
    waiting = [
        (series, rule, spans[series.gpu_id].since, until)
        for series, until in zip(some, untils, strict=True)
        for rule in series.rules
    ]
    while waiting:
        ranges = [
            (series.series_id, since - timedelta(seconds=rule.reach_s), until + timedelta(seconds=rule.reach_s))
            for series, rule, since, until in waiting
        ]
        meanwhile = [
            (other, since - timedelta(seconds=PAUSE_S), until)
            for (series, rule, _, _), (_, since, until) in zip(waiting, ranges, strict=True)
            for other in (series.during if rule.during else ())
        ]
        both = looks.readings(connection, [*ranges, *meanwhile])
        others = iter(both[len(ranges) :])
        again = []
        for (series, rule, since, _), (_, low, high), (ts_us, values) in zip(waiting, ranges, both, strict=False):
            during = _joined([next(others) for _ in series.during]) if rule.during else None
            look = Look(ts_us, values, looks.us(low), looks.us(high))
            before = known.get((series.gpu_id, series.series_id, rule.name), ())
            of_look = stretches.stretches(rule, series.model, look, during)
            if stretches.is_cut_off(rule, of_look, before, look):
                again.append((series, rule, since, looks.moment(int(ts_us[-1])) + PIECE))
            else:
                of_look = stretches.continued(rule, of_look, before, look)
                yield series, rule, stretches.merged(rule, of_look, before, look)
        waiting = again


def _joined(parts: Sequence[tuple[Int64s, Float64s]]) -> tuple[Int64s, Float64s]:
    """The readings of several series as of one, in order of time."""
    ts_us, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(ts_us, kind="stable")
    return ts_us[order], values[order]


def _judge_silence(connection: Connection, rules: Rules, spans: Sequence[Span], now: datetime) -> None:
    if not spans:
        return
    silent_after = timedelta(seconds=rules.silent_after_s)
    known = findings.known(connection, [span.gpu_id for span in spans], min(span.since for span in spans) - silent_after)
    before: dict[Subject, list[Stretch]] = {}
    after: dict[Subject, list[Fired]] = {}
    for gpu_id, read in looks.read(connection, spans).items():
        subject = (gpu_id, 0, SILENT)
        first_us, last_us = looks.us(read[0][0]), looks.us(read[-1][1])
        before[subject] = [each for each in known.get(subject, ()) if first_us <= each.begun_us <= last_us]
        pauses = silences(read, silent_after, now)
        if read[-1][0] == read[-1][1]:
            # Read later too, as far as minutes were asked for: no end of the last one is known here.
            pauses = [each for each in pauses if each[1] is not None]
            before[subject] = [each for each in before[subject] if each.begun_us < last_us]
        after[subject] = [_silence(begun, ended, silent_after) for begun, ended in pauses]
    findings.put(connection, before, after)


def _silence(begun: datetime, ended: datetime | None, silent_after: timedelta) -> Fired:
    begun_us = looks.us(begun)
    stretch = Stretch(begun_us, None if ended is None else looks.us(ended), begun_us, 0.0)
    return Fired(stretch, looks.us(begun + silent_after), "silence", "degraded")


def _judge_stragglers(connection: Connection, rules: Rules, since: datetime, until: datetime) -> None:
    rule, step = rules.straggler, timedelta(seconds=STEP_S)
    texts = (rule.severity, rule.says, rule.action, rule.source)
    # Found again and again while it goes on: it counts until the step after the next is over.
    held = Rule(STRAGGLER, "straggler", (rule.metric,), "at_least", 0.0, *texts, hold_s=2.0 * STEP_S)
    # Only whole steps; those beside the span as far as a stretch may reach.
    first, last = _step(since) - 2 * step, min(_step(until) + 2 * step, _step(datetime.now(UTC)) - step)
    if last < first:
        return
    means = looks.means(connection, rule.metric, first, last, STEP_S)
    flagged: dict[int, dict[int, float]] = defaultdict(dict)
    for (begin, _), of_gpus in means.items():
        low = stragglers(rule, of_gpus)
        for gpu_id, mean in of_gpus.items():
            at_us = looks.us(begin)
            # Below 0: not so.
            flagged[gpu_id][at_us] = max(flagged[gpu_id].get(at_us, -1.0), mean if gpu_id in low else -1.0)
    known = findings.known(connection, list(flagged), first)
    after: dict[Subject, list[Fired]] = {}
    for gpu_id, steps in flagged.items():
        subject = (gpu_id, 0, STRAGGLER)
        if max(steps.values()) < 0 and subject not in known:
            continue
        ts_us = np.array(sorted(steps), np.int64)
        look = Look(
            ts_us, np.array([steps[each] for each in ts_us.tolist()]), looks.us(first + 2 * step), looks.us(last - 2 * step)
        )
        before = known.get(subject, ())
        of_look = stretches.continued(held, stretches.stretches(held, None, look), before, look)
        after[subject] = [
            Fired(each, each.begun_us, "straggler", rule.severity) for each in stretches.merged(held, of_look, before, look)
        ]
    findings.put(connection, known, after)


def _step(moment: datetime) -> datetime:
    at_s = int(moment.timestamp()) // STEP_S * STEP_S
    return looks.EPOCH + timedelta(seconds=at_s)

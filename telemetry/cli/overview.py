"""One look at the whole system, for `telemetry status` and `telemetry sources`.

It asks the broker, the database, and the workers for a sign of life. `status_document` joins the answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis

from telemetry import broker
from telemetry.cli import collectors
from telemetry.cli.database import database
from telemetry.cli.parts import Part, Question
from telemetry.cli.session import connected
from telemetry.progress import losses, machines, reading
from telemetry.progress.keys import Keys
from telemetry.progress.losses import Loss
from telemetry.progress.signs import Sign, signs
from telemetry.progress.state import SourceState
from telemetry.settings import Settings
from telemetry.store import durability, lock_table
from telemetry.store.read.exporter import commit_age_s
from telemetry.store.read.gaps import Gap, gaps
from telemetry.store.read.rates import Flow, flow, rows_per_s
from telemetry.store.read.retention import Retained, retained
from telemetry.store.read.same_names import same_names
from telemetry.store.read.second_looks import Letters, SecondLook, dead_letters, second_looks

States = dict[str, dict[str, SourceState]]
# The names of the workers that answer, each with the edge that it streams for; None for one of the centre.
Workers = dict[str, str | None]

FLOW_S = 60
PING_S = 0.5
MAX_SAME_NAMES = 5


@dataclass(frozen=True)
class Progress:
    """What the broker knows."""

    states: States
    lost: list[Loss]
    signs: dict[str, Sign]
    second_machines: dict[str, list[str]]
    queue: dict[str, int]
    warnings: list[str]
    now_us: int


@dataclass(frozen=True)
class Ledger:
    """What the database knows. Without the broker's states nobody can tell gaps: then they are None."""

    flow: list[Flow]
    rates: dict[tuple[str, str], float]
    last_commit_age_s: float | None
    letters: Letters
    looks: dict[tuple[str, str], SecondLook]
    warnings: list[str]
    gaps: list[Gap] | None
    retention: list[Retained]


@dataclass(frozen=True)
class Overview:
    """What each part has answered. Workers are not asked for where the broker has not answered."""

    progress: Part[Progress]
    ledger: Part[Ledger]
    workers: Part[Workers]


def look(settings: Settings) -> Overview:
    """Ask all parts."""
    workers = Question("broker", lambda: _workers(settings))
    # Asked before the ledger, so that a batch committed in between does not seem to be missing there.
    progress = Question("broker", lambda: _progress(settings)).part()
    ledger = Question("database", lambda: _ledger(settings, progress.answer)).part()
    return Overview(progress, ledger, workers.part() if progress.answer else Part(None, None))


def _progress(settings: Settings) -> Progress:
    keys = Keys(settings.key_prefix)
    with connected(settings, retries=0) as client:
        advice, expected = broker.eviction_advice(client), signs(client, keys)
        return Progress(
            states=reading.sources_by_edge(client, keys),
            lost=losses.of_all_edges(client, keys),
            signs=expected,
            second_machines=machines.refused(client, keys, expected),
            queue=_queue(client, settings),
            warnings=[advice] if advice else [],
            now_us=broker.now_us(client),
        )


def _ledger(settings: Settings, progress: Progress | None) -> Ledger:
    with database(settings, "status") as engine, engine.connect() as connection:
        found = None
        if progress is not None:
            held, given_up = reading.committed(progress.states), losses.given_up(progress.lost)
            found = gaps(connection, settings.gap_alert_s, held, given_up)
        advice = [durability.look(connection).advice, lock_table.look(connection).advice]
        advice += [same.advice for same in same_names(connection)[:MAX_SAME_NAMES]]
        return Ledger(
            flow=flow(connection, FLOW_S),
            rates=rows_per_s(connection, FLOW_S),
            last_commit_age_s=commit_age_s(connection),
            letters=dead_letters(connection),
            looks=second_looks(connection),
            warnings=[text for text in advice if text],
            gaps=found,
            retention=retained(connection),
        )


def _workers(settings: Settings) -> Workers:
    """Collectors answer to a ping. Streamers do not listen to anybody; they note that they live."""
    answers, keys = collectors.living(settings, PING_S), Keys(settings.key_prefix)
    with connected(settings, retries=0) as client:
        streamers = reading.streamers(client, keys, reading.edges(client, keys))
    return dict.fromkeys(answers) | {name: edge for edge, names in streamers.items() for name in names}


def _queue(client: redis.Redis, settings: Settings) -> dict[str, int]:
    unacked = Keys(settings.key_prefix).unacked("central")
    return {"waiting": int(client.llen(settings.ingest_queue)), "unacked": int(client.hlen(unacked))}

"""One look at the whole system, for `telemetry status` and `telemetry sources`.

It asks the broker, the database, and the workers for a sign of life. Of several brokers each is asked, and an edge is shown as
the one knows it at which it streams now. `status_document` joins the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import click
import redis
from redis.exceptions import NoPermissionError

from telemetry import broker
from telemetry.cli import collectors
from telemetry.cli.database import database
from telemetry.cli.parts import Part, Question
from telemetry.cli.session import connected
from telemetry.progress import losses, machines, reading
from telemetry.progress.everywhere import Heard, heard, homes
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
    """What a broker knows, or several. `clocks`: by edge the time at its broker. `heard`: when a broker heard of each edge."""

    states: States
    lost: list[Loss]
    signs: dict[str, Sign]
    second_machines: dict[str, list[str]]
    queue: dict[str, int]
    warnings: list[str]
    clocks: dict[str, int]
    heard: Heard


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
    """What each part has answered. Workers are not asked for where their broker has not answered."""

    brokers: Mapping[str, Part[Progress]]
    ledger: Part[Ledger]
    workers: Mapping[str, Part[Workers]]

    @property
    def progress(self) -> Progress | None:
        """What the brokers know that have answered; None if none has."""
        return joined({name: part.answer for name, part in self.brokers.items() if part.answer})

    @property
    def queues(self) -> dict[str, dict[str, int]]:
        """What waits at each of several brokers that has answered, and how many edges are there."""
        answers = {name: part.answer for name, part in self.brokers.items() if name and part.answer}
        edges = Counter(homes({name: one.heard for name, one in answers.items()}).values())
        return {name: {**one.queue, "edges": edges[name]} for name, one in answers.items()}

    @property
    def living(self) -> Workers | None:
        """The workers that answer, of the brokers that have answered; None if none has."""
        answers = [part.answer for part in self.workers.values() if part.answer is not None]
        return {name: edge for answer in answers for name, edge in answer.items()} if answers else None


def look(settings: Settings) -> Overview:
    """Ask all parts."""
    named = {name: f"broker {name}".rstrip() for name in settings.brokers}
    workers = {name: Question(named[name], partial(_workers, one)) for name, one in settings.brokers.items()}
    asked = {name: Question(named[name], partial(_progress, one)) for name, one in settings.brokers.items()}
    # Before the ledger, so that a batch committed in between does not seem to be missing there.
    brokers = {name: question.part() for name, question in asked.items()}
    progress = joined({name: part.answer for name, part in brokers.items() if part.answer})
    ledger = Question("database", lambda: _ledger(settings, progress)).part()
    none: Part[Workers] = Part(None, None)
    return Overview(brokers, ledger, {name: workers[name].part() if brokers[name].answer else none for name in workers})


def joined(answers: Mapping[str, Progress]) -> Progress | None:
    """What several brokers know, each edge as the one knows it that heard of it last; None without any. Pure."""
    if not answers:
        return None
    at = homes({name: one.heard for name, one in answers.items()})
    queue: Counter[str] = Counter()
    for one in answers.values():
        queue.update(one.queue)

    def here(name: str, edge: str) -> bool:
        return at.get(edge, name) == name

    every = answers.items()
    return Progress(
        states={edge: states for name, one in every for edge, states in one.states.items() if here(name, edge)},
        lost=[loss for name, one in every for loss in one.lost if here(name, loss.edge)],
        signs={edge: sign for name, one in every for edge, sign in one.signs.items() if here(name, edge)},
        second_machines={edge: them for name, one in every for edge, them in one.second_machines.items() if here(name, edge)},
        queue=dict(queue),
        warnings=[],
        clocks={edge: now_us for name, one in every for edge, now_us in one.clocks.items() if here(name, edge)},
        heard={},
    )


def _progress(settings: Settings) -> Progress:
    keys = Keys(settings.key_prefix)
    with connected(settings, retries=0) as client:
        advice, expected = broker.eviction_advice(client), signs(client, keys)
        states, now_us = reading.sources_by_edge(client, keys), broker.now_us(client)
        return Progress(
            states=states,
            lost=losses.of_all_edges(client, keys),
            signs=expected,
            second_machines=machines.refused(client, keys, expected),
            queue=_queue(client, settings),
            warnings=[advice] if advice else [],
            clocks=dict.fromkeys({*states, *expected}, now_us),
            heard=heard(client, keys) if settings.broker_urls else {},
        )


def _ledger(settings: Settings, progress: Progress | None) -> Ledger:
    with database(settings, "status") as engine, engine.connect() as connection:
        missing = None
        if progress is not None:
            held, given_up = reading.committed(progress.states), losses.given_up(progress.lost)
            missing = gaps(connection, settings.gap_alert_s, held, given_up)
        advice = [durability.look(connection).advice, lock_table.look(connection).advice]
        advice += [same.advice for same in same_names(connection)[:MAX_SAME_NAMES]]
        return Ledger(
            flow=flow(connection, FLOW_S),
            rates=rows_per_s(connection, FLOW_S),
            last_commit_age_s=commit_age_s(connection),
            letters=dead_letters(connection),
            looks=second_looks(connection),
            warnings=[text for text in advice if text],
            gaps=missing,
            retention=retained(connection),
        )


def _workers(settings: Settings) -> Workers:
    """Collectors answer to a ping. Streamers do not listen to anybody; they note that they live."""
    keys = Keys(settings.key_prefix)
    try:
        answers = collectors.living(settings, PING_S)
    except NoPermissionError as error:
        # As in the pod of an exporter that has a user of its own. All else is shown.
        raise click.ClickException(
            f"the user {settings.broker_username} may not ask collectors whether they live: {error}"
        ) from None
    with connected(settings, retries=0) as client:
        streamers = reading.streamers(client, keys, reading.edges(client, keys))
    return dict.fromkeys(answers) | {name: edge for edge, names in streamers.items() for name in names}


def _queue(client: redis.Redis, settings: Settings) -> dict[str, int]:
    unacked = Keys(settings.key_prefix).unacked("central")
    return {"waiting": int(client.llen(settings.ingest_queue)), "unacked": int(client.hlen(unacked))}

"""Acknowledges settled batches to their edges, and refuses to where the database may have forgotten them meanwhile.

A batch is counted at its commit and acknowledged after it. Between the two the process may be frozen, and the database
restored from a backup: so an outcome that is no longer fresh is never acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from telemetry.collector.messages import Header
from telemetry.collector.outcome import Outcome
from telemetry.monitoring import traces
from telemetry.monitoring.counters import stations
from telemetry.progress.acks import Ack, Acks
from telemetry.store.write import ledger
from telemetry.trust.keyring import Keyring

# An older outcome is not acknowledged: the database that it was true of may be gone.
STALE_S = 5.0


class Settlements:
    """The batches that one process settles, until they are acknowledged."""

    def __init__(self, acks: Acks, cluster: str, keyring: Keyring) -> None:
        self._acks = acks
        self._keyring = keyring
        self._cluster = cluster
        # Committed here and not acknowledged yet. If that fails, the next try finds them known, and counts none of them twice.
        self._unacknowledged: dict[ledger.Key, Outcome] = {}

    def committed(self, edge: str, batch_id: str, outcome: Outcome) -> None:
        """Count a batch that was committed just now, as stored or as dead."""
        self._unacknowledged[edge, batch_id] = outcome
        stations.committed(edge, outcome.status, outcome.rows, cluster=self._cluster)

    def acknowledge(self, outcomes: Sequence[tuple[Header | None, Outcome]]) -> None:
        """Acknowledge outcomes, each with the checked header of its message; one without a header names no batch.

        Raises TimeoutError if one that names a batch is older than STALE_S, and RedisError; then none is acknowledged. A
        probe tells nothing of the ledger, so its age does not matter.
        """
        known_at_s = (outcome.known_at_s for header, outcome in outcomes if header is not None and outcome.status != "probe")
        if monotonic() - min(known_at_s, default=monotonic()) > STALE_S:
            raise TimeoutError("too late to acknowledge: the ledger must be asked again")
        own = dict(self._unacknowledged)
        settled = [
            # What was committed at an earlier try is true of the generation that was asked now.
            (header, replace(own.pop((header["edge"], header["batch_id"]), outcome), generation=outcome.generation))
            for header, outcome in outcomes
            if header is not None
        ]
        with traces.span("acknowledge", batches=len(settled)):
            now_us = self._acks.send(self._sealed(header, ack(header, outcome)) for header, outcome in settled)
        self._unacknowledged.clear()
        for header, outcome in settled:
            stations.acknowledged(header, outcome.settlement, outcome.rows, cluster=self._cluster, acknowledged_us=now_us)

    def _sealed(self, header: Header, made: Ack) -> Ack:
        return made._replace(seal=self._keyring.seal(header, made.text))


def ack(header: Header, outcome: Outcome) -> Ack:
    """What an edge is told of an outcome."""
    names = (header["edge"], header["source"]["id"], header["batch_id"])
    if outcome.held:
        return Ack(*names, "held", outcome.generation, outcome.held)
    return Ack(*names, "dead" if outcome.is_dead else "stored", outcome.generation)

"""Saves what is known of a claimed source, and holds on to the claim where the broker has lost it."""

from __future__ import annotations

from collections.abc import Iterable

from telemetry.progress.claims import Claim, Claims, Saved
from telemetry.progress.state import SourceState
from telemetry.streamer.step import TakenError


def save(claims: Claims, claim: Claim, state: SourceState, acked: Iterable[str]) -> Claim:
    """Save a state; `acked` are the acknowledgements whose effect it holds. Returns the claim that holds from now on.

    Raises TakenError if another streamer has the source.
    """
    return _answered(claims, claim, state, claims.save(claim, state, acked))


def renew(claims: Claims, claim: Claim, state: SourceState) -> Claim:
    """Keep the lease of a source whose state is the saved one. As `save`."""
    return _answered(claims, claim, state, claims.save(claim))


def _answered(claims: Claims, claim: Claim, state: SourceState, answer: Saved) -> Claim:
    # Where the broker lost its keys, we have not: go on from here rather than read everything again.
    kept = claims.claim(claim.source_id, state) if answer == "gone" else claim
    if answer == "taken" or kept is None:
        raise TakenError(claim.source_id)
    return kept

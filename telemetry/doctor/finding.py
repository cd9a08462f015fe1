"""What a check says: a verdict, a sentence, and where something is wrong the mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# `warning`: it works, but not as it should, or it could not be asked. `skipped`: an earlier check failed that this one needs.
Verdict = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check found. Only an `ok` needs no mend."""

    verdict: Verdict
    says: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement, and what it is about: a part of the system, and the name of the check."""

    part: str
    check: str
    judgement: Judgement


def ok(says: str) -> Judgement:
    """Nothing is wrong."""
    return Judgement("ok", says)


def warning(says: str, mend: str) -> Judgement:
    """It works, but should be mended."""
    return Judgement("warning", says, mend)


def failed(says: str, mend: str) -> Judgement:
    """It does not work."""
    return Judgement("failed", says, mend)

"""Makes lines for people and a document for programs of findings. No text shows a password."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from telemetry.doctor.address import Secrets
from telemetry.doctor.finding import Finding
from telemetry.redaction import blot

MARKS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "skipped": "-"}
HIDDEN = "***"


def sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed. What was skipped stands behind something that did."""
    return all(finding.judgement.verdict in {"ok", "warning"} for finding in findings)


def lines(findings: Sequence[Finding], secrets: Secrets) -> Iterator[str]:
    """A line a check, and below it the mend."""
    for part, of_part in groupby(findings, key=lambda finding: finding.part):
        yield part
        for _, check, judgement in ((each.part, each.check, each.judgement) for each in of_part):
            yield f"  {MARKS[judgement.verdict]:<8} {check:<12} {_clean(judgement.says, secrets)}"
            if judgement.mend:
                yield f"  {'':<8} {'':<12} mend: {_clean(judgement.mend, secrets)}"


def document(findings: Sequence[Finding], role: str, secrets: Secrets) -> dict[str, Any]:
    """The findings as JSON takes them."""
    return {
        "role": role,
        "ok": sound(findings),
        "checks": [
            {
                "part": each.part,
                "check": each.check,
                "verdict": each.judgement.verdict,
                "says": _clean(each.judgement.says, secrets),
                "mend": _clean(each.judgement.mend, secrets) or None,
            }
            for each in findings
        ],
    }


def _clean(text: str, secrets: Secrets) -> str:
    shown = blot(" ".join(text.split()))
    for secret in sorted(secrets.texts, key=len, reverse=True):
        shown = shown.replace(secret, HIDDEN)
    return shown

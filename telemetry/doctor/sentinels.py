"""What the sentinels of a broker say: whether they answer, agree, and name a primary that can be reached from here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import redis

from telemetry import broker
from telemetry.doctor import reach
from telemetry.doctor.address import Address
from telemetry.doctor.finding import Judgement, failed, ok, warning
from telemetry.sentinels import Place, shown
from telemetry.settings import Settings
from telemetry.settings.sentinel_url import parse

VARIABLE = "TELEMETRY_BROKER_URL"
ANNOUNCE = (
    "let the servers announce an address that clients reach: `replica-announce-ip` at each server, or host names "
    "with `resolve-hostnames yes` and `announce-hostnames yes`"
)


def check(settings: Settings) -> Judgement:
    """Ask each sentinel."""
    guides = broker.sentinels(settings)
    assert guides is not None, "only a broker behind sentinels is asked"  # noqa: S101
    answers: dict[str, Place | str] = {}
    for place in parse(settings.broker_url).sentinels:
        try:
            answers[shown(place)] = guides.ask(place)
        except redis.RedisError as error:
            answers[shown(place)] = str(error)
    judgement = judge(answers, guides.service)
    return judgement if judgement.verdict == "failed" else _reached(answers, judgement)


def judge(answers: Mapping[str, Place | str], service: str) -> Judgement:
    """What the answers mean: of each sentinel the primary that it names, or why it names none."""
    named = {answer for answer in answers.values() if not isinstance(answer, str)}
    refusals = [f"{place}: {answer}" for place, answer in answers.items() if isinstance(answer, str)]
    if not named:
        return failed(
            f"no sentinel names a primary of {service}: {'; '.join(refusals)}",
            f"see whether they run, watch {service} (`sentinel monitor`), and take TELEMETRY_SENTINEL_PASSWORD",
        )
    primaries = " and ".join(sorted(map(shown, named)))
    if len(named) > 1:
        return warning(
            f"they name different primaries: {primaries}", "wait for the end of the failover; see their logs if it stays"
        )
    if refusals:
        return warning(
            f"they name {primaries}, but not all answer: {'; '.join(refusals)}", "start them, or correct " + VARIABLE
        )
    count = len(answers)
    judgement = ok(f"{count} of {count} name {primaries}")
    return judgement if count > 2 else warning(f"there are {count}, which name {primaries}", "run three, so that two can agree")  # noqa: PLR2004


def _reached(answers: Mapping[str, Place | str], judgement: Judgement) -> Judgement:
    for answer in answers.values():
        if isinstance(answer, str):
            continue
        primary = Address(VARIABLE, *answer)
        try:
            with closing(reach.opened(primary, 1.0)):
                continue
        except OSError as error:
            return failed(f"they name {shown(answer)}, which cannot be reached from here: {error}", ANNOUNCE)
    return judgement

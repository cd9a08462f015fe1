"""`/health` under the API's prefix: how GPUs and hosts are, and what was found of them. That of the servers is `health`'s."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint
from pydantic import BaseModel, Field

from telemetry.api.answers import cursors
from telemetry.api.answers.pages import Continued, Listed, Page
from telemetry.api.answers.tables import Table
from telemetry.api.core import lookups
from telemetry.api.core.connections import connections
from telemetry.api.core.parameters import Text
from telemetry.api.core.queries import Followed, Spanned, Tabular
from telemetry.api.operations import listing
from telemetry.health.rules import Kind, Severity
from telemetry.store.read import findings, health
from telemetry.store.read.health import State

ENDS = {"begun_at": cursors.moment, "id": cursors.whole}
# How GPUs are may be so old: each page of a fleet asks for the same again and again.
LASTS_S = 1.0

blueprint = Blueprint("gpu_health", __name__)


class Reason(BaseModel):
    """Why a GPU is as it is: a rule, what it says, since when, the first reading that told of it, and what to do.

    `heuristic`: it is no more than likely.
    """

    rule: str
    kind: Kind
    severity: Severity
    says: str
    since: datetime
    value: float | None
    action: str
    heuristic: bool


class GpuHealth(BaseModel):
    """How a GPU is now, since when, why, and what to do about the gravest reason. A note leaves a GPU well."""

    gpu: str
    host: str | None
    index: int | None
    model: str | None
    state: State
    since: datetime
    last_seen: datetime | None
    reasons: list[Reason]
    action: str | None


class HostHealth(BaseModel):
    """How a host is now: as its worst GPU; degraded, if a GPU is missing; silent, if all are.

    `says` has the gravest reason of each GPU. `missing_gpus` are silent while others report, or fewer than there should be.
    """

    host: str
    gpus: int
    ill_gpus: int
    missing_gpus: int
    state: State
    since: datetime | None
    last_seen: datetime | None
    says: str | None


class Finding(BaseModel):
    """A stretch of time in which a rule's condition held: begun with `value`, ended by the next reading, null if it goes on.

    `fired_at` is when it had lasted as long as the rule asks. `metric` is null for silence and stragglers.
    """

    id: int
    gpu: str
    host: str | None
    index: int | None
    model: str | None
    metric: str | None
    rule: str
    kind: Kind
    severity: Severity
    says: str
    begun_at: datetime
    fired_at: datetime
    ended_at: datetime | None
    value: float | None
    action: str


class HealthQuery(Tabular):
    """Which GPUs."""

    gpu: Text | None = Field(None, description="only this GPU: UUID or host:index")
    host: Text | None = Field(None, description="only those on this host")
    model: Text | None = Field(None, description="only those of this model")
    state: tuple[State, ...] = Field((), max_length=5, description="only those in this state; may be repeated")


class HostHealthQuery(Tabular):
    """Which hosts."""

    host: Text | None = Field(None, description="only this host")
    state: tuple[State, ...] = Field((), max_length=5, description="only those in this state; may be repeated")


class FindingQuery(Spanned, Followed):
    """Which findings."""

    gpu: Text | None = Field(None, description="only of this GPU: UUID or host:index")
    host: Text | None = Field(None, description="only of GPUs on this host")
    rule: tuple[Text, ...] = Field((), max_length=50, description="only of this rule; may be repeated")
    kind: tuple[Kind, ...] = Field((), max_length=20, description="only of this kind; may be repeated")
    severity: tuple[Severity, ...] = Field((), max_length=3, description="only of this severity; may be repeated")


@listing(blueprint, "/health", Listed[GpuHealth], HealthQuery, codes=("gpu_not_found", "host_not_found"), lasts_s=LASTS_S)
def list_gpu_health(query: HealthQuery, page: Page) -> Table:
    """How each GPU is, the gravest first."""
    some = health.HealthFilter(_number(query.gpu, query.host), query.host, query.model, query.state)
    return Table(GpuHealth, health.gpus(connections().settings.health_rules, some), page)


@listing(blueprint, "/health/hosts", Listed[HostHealth], HostHealthQuery, codes=("host_not_found",))
def list_host_health(query: HostHealthQuery, page: Page) -> Table:
    """How each host is, the gravest first."""
    lookups.check(host=[query.host] if query.host else ())
    some = health.HealthFilter(host=query.host, states=query.state)
    return Table(HostHealth, health.hosts(connections().settings.health_rules, some), page)


@listing(blueprint, "/health/findings", Continued[Finding], FindingQuery, codes=("gpu_not_found", "host_not_found"))
def list_findings(query: FindingQuery, page: Page) -> Table:
    """What was found, the latest first."""
    some = findings.FindingFilter(
        *(_number(query.gpu, query.host), query.host, query.rule, query.kind, query.severity),
        *(query.start_time, query.end_time),
    )
    begun, number = page.after(ENDS) or (None, None)
    after = None if begun is None or number is None else (begun, number)
    return Table(Finding, findings.findings(connections().settings.health_rules, some, after), page, ends=ENDS)


def _number(gpu: str | None, host: str | None) -> int | None:
    """The number of a GPU, if one is named. Raises ProblemError if there is no such GPU or host."""
    lookups.check(host=[host] if host else ())
    return None if gpu is None else lookups.gpu(gpu, "gpu")["gpu_id"]

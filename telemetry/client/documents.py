"""The JSON objects of the API that the client returns. A test compares them with the API's specification."""

from __future__ import annotations

from typing import Literal, TypedDict


class Gpu(TypedDict):
    """A GPU. Times are RFC 3339; `first_seen` is when its first reading was stored, `last_seen` is to the minute."""

    id: str
    uuid: str | None
    host: str | None
    index: int | None
    device: str | None
    model: str | None
    driver_version: str | None
    first_seen: str
    last_seen: str | None
    silent_for_s: float | None


class Host(TypedDict):
    """A host, with how many GPUs of which models (separated by commas)."""

    name: str
    gpus: int
    models: str | None
    first_seen: str
    last_seen: str | None
    silent_for_s: float | None


class Metric(TypedDict):
    """A metric, and how many series it has. `kind` is gauge or counter."""

    name: str
    unit: str | None
    description: str | None
    kind: str
    series: int


class Reading(TypedDict):
    """A reading, or an aggregate of those in a step."""

    timestamp: str
    gpu: str
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]


class FleetReading(TypedDict):
    """A reading of one of many GPUs; `owner` has the labels that say who used the GPU then, and `labels` has them too."""

    timestamp: str
    gpu: str
    host: str | None
    index: int | None
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]
    owner: dict[str, str]


class Latest(TypedDict):
    """The latest reading of a GPU and metric; `owner` has the labels that say who used the GPU then."""

    timestamp: str
    gpu: str
    host: str | None
    index: int | None
    model: str | None
    metric: str
    value: float | None
    unit: str | None
    labels: dict[str, str]
    owner: dict[str, str]


class Group(TypedDict, total=False):
    """What a group is of: those of these that were asked for."""

    cluster: str | None
    edge: str | None
    host: str | None
    gpu: str | None
    index: int | None
    model: str | None
    namespace: str | None
    pod: str | None
    container: str | None
    job: str | None
    user: str | None
    account: str | None


class GroupAggregate(Group, total=False):
    """An aggregate of a group's readings in a step, with the fields that were asked for, and always `value` and `readings`.

    A group by a label has a field of its name too, such as `label.team`.
    """

    timestamp: str | None
    low: float | None
    high: float | None
    value: float | None
    readings: int


class Usage(Group, total=False):
    """How much of GPUs a group used: the groups that were asked for, and always the figures from `held_hours` on."""

    held_hours: float
    coverage: float | None
    idle_hours: float | None
    low_use_hours: float | None
    duty_cycle: float | None
    duty_coverage: float | None
    free_hours: float
    energy_kwh: float | None
    energy_from: Literal["counter", "power", "both"] | None
    cost: float | None
    unpriced_hours: float


Severity = Literal["note", "degraded", "faulty"]
State = Literal["faulty", "silent", "degraded", "unknown", "well"]
Kind = Literal["xid", "ecc", "remap", "nvlink", "pcie", "throttle", "temperature", "clocks", "straggler", "silence", "other"]


class Reason(TypedDict):
    """Why a GPU is as it is. `heuristic`: it is no more than likely."""

    rule: str
    kind: Kind
    severity: Severity
    says: str
    since: str
    value: float | None
    action: str
    heuristic: bool


class GpuHealth(TypedDict):
    """How a GPU is now, since when, why, and what to do about the gravest reason."""

    gpu: str
    host: str | None
    index: int | None
    model: str | None
    state: State
    since: str
    last_seen: str | None
    reasons: list[Reason]
    action: str | None


class Event(TypedDict):
    """Something that happened to a GPU; `owner` has the labels of who had it then."""

    id: str
    at: str
    kind: Literal[Kind, "health", "allocation"]
    what: Literal["begins", "ends", "changes"]
    says: str
    rule: str | None
    value: float | None
    action: str
    gpu: str
    host: str | None
    index: int | None
    model: str | None
    owner: dict[str, str]


class Upload(TypedDict):
    """How far an upload is."""

    id: str
    state: Literal["waiting", "reading", "done", "removed"]
    uploaded_at: str
    size_bytes: int
    committed_bytes: int
    rows_read: int
    batches: int
    dead_batches: int
    rows: int
    stored: int
    duplicate: int
    conflict: int
    blank: int
    quarantined: int
    expired: int

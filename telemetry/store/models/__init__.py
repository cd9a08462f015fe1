"""The tables. Alembic's migrations create them; a test compares the two.

`base` is what they share. `samples` are the readings and what describes them, `sealed` those of days that are over, `identity`
what else decides which series they belong to, `owners` who used the GPUs and `usage` how much, `health` how these are, `ledger`
the batches that were stored, `unstored` what came and is no sample, `retention` from when on all of it is kept, `audit` how
many samples there should be, `archive` which days are archived, `api` what people and the API change. To import this package is
to have all tables in the metadata of `Base`. What is asked of them and written to them is `telemetry.store`'s.
"""

from telemetry.store.models.api import ApiKey, AuditEntry, EdgeCredential, Upload
from telemetry.store.models.archive import ArchivedDay
from telemetry.store.models.audit import TALLIES, CountedPartition, Reread, Shortfall
from telemetry.store.models.base import Base, Time
from telemetry.store.models.health import Finding, Judgement, Unjudged
from telemetry.store.models.identity import GpuJoin, GpuPlace, LabelRule
from telemetry.store.models.ledger import LEDGER, Batch, Generation, LedgerRange, Source
from telemetry.store.models.owners import Allocation, Owner
from telemetry.store.models.retention import Retention
from telemetry.store.models.samples import Gpu, Metric, Sample, Series
from telemetry.store.models.sealed import Late, PartitionSize, Sealed, SealedSpan, SealedTimes, Sealing
from telemetry.store.models.unstored import Conflict, DeadLetter, Quarantined
from telemetry.store.models.usage import UsageHour, UsageMark

__all__ = [
    "LEDGER",
    "TALLIES",
    "Allocation",
    "ApiKey",
    "ArchivedDay",
    "AuditEntry",
    "Base",
    "Batch",
    "Conflict",
    "CountedPartition",
    "DeadLetter",
    "EdgeCredential",
    "Finding",
    "Generation",
    "Gpu",
    "GpuJoin",
    "GpuPlace",
    "Judgement",
    "LabelRule",
    "Late",
    "LedgerRange",
    "Metric",
    "Owner",
    "PartitionSize",
    "Quarantined",
    "Reread",
    "Retention",
    "Sample",
    "Sealed",
    "SealedSpan",
    "SealedTimes",
    "Sealing",
    "Series",
    "Shortfall",
    "Source",
    "Time",
    "Unjudged",
    "Upload",
    "UsageHour",
    "UsageMark",
]

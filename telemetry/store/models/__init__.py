"""The tables. Alembic's migrations create them; a test compares the two.

`base` is what they share. `samples` are the readings and what describes them, `owners` who used the GPUs, `ledger` the batches
that were stored, `unstored` what came and is no sample, `api` what people and the API change. To import this package is to
have all tables in the metadata of `Base`. What is asked of them and written to them is `telemetry.store`'s.
"""

from telemetry.store.models.api import ApiKey, AuditEntry, EdgeCredential, Upload
from telemetry.store.models.base import Base, Time
from telemetry.store.models.ledger import LEDGER, Batch, Generation, LedgerRange, Source
from telemetry.store.models.owners import Allocation, Owner
from telemetry.store.models.samples import Gpu, Metric, Sample, Series
from telemetry.store.models.unstored import Conflict, DeadLetter, Quarantined

__all__ = [
    "LEDGER",
    "Allocation",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Batch",
    "Conflict",
    "DeadLetter",
    "EdgeCredential",
    "Generation",
    "Gpu",
    "LedgerRange",
    "Metric",
    "Owner",
    "Quarantined",
    "Sample",
    "Series",
    "Source",
    "Time",
    "Upload",
]

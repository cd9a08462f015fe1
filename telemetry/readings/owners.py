"""Who used a GPU: the labels that say so, and the parts of an owner that people ask by.

Which labels are an owner's is a setting of the centre, `TELEMETRY_OWNER_LABELS`. Here stand the labels that are so by default,
and which of them names which part. When an owner had a GPU is `telemetry.store.write.allocations`'.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from telemetry.readings.tellers import TOLD_BY

# Part of an owner -> the labels that may name it; the first that is there counts. `exported_pod` and its like are there beside
# `pod` only where a source keeps its exporter's names: then they name the user. A Slurm job is hpc_job to dcgm-exporter.
PARTS: dict[str, tuple[str, ...]] = {
    "namespace": ("exported_namespace", "namespace"),
    "pod": ("exported_pod", "pod"),
    "container": ("exported_container", "container"),
    "job": ("hpc_job", "slurm_job_id"),
    "user": ("user", "slurm_user"),
    "account": ("account", "slurm_account"),
}
USUAL_LABELS = (*(label for labels in PARTS.values() for label in labels), "pod_uid", "exported_pod_uid")
# Who tells of an owner is part of it, whatever is set: what two tell is two allocations.
OWNER_LABELS = (*USUAL_LABELS, TOLD_BY)


def owner(labels: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Those of some labels that say who used the GPU; empty where nobody is named."""
    return {name: value for name, value in labels.items() if value and (name in names or name == TOLD_BY)}


def parts(labels: Mapping[str, str]) -> dict[str, str | None]:
    """The parts of an owner, each None where no label names it."""
    return {part: next((labels[name] for name in names if labels.get(name)), None) for part, names in PARTS.items()}

"""Who tells that an owner has a GPU, where it is not what the GPU was read by, and the metrics by which they tell it."""

from __future__ import annotations

# The label of an owner that says who tells of it.
TOLD_BY = "told_by"
SLURM, KUBERNETES = "slurm", "kubernetes"
# For how many seconds an owner has had a GPU, at the time of the reading. So one reading tells of all the time before it.
SLURM_HELD, KUBERNETES_HELD = "SLURM_JOB_HELD", "KUBERNETES_POD_HELD"
TELLERS = {SLURM_HELD: SLURM, KUBERNETES_HELD: KUBERNETES}
HELD = frozenset(TELLERS)

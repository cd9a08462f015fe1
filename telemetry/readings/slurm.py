"""What Slurm says of GPUs: the metric, the labels of a job, and the line that stands above what `scontrol` prints."""

from __future__ import annotations

# The line that names the format, as the command itself is called. A `#` before it is no part of it.
COMMAND = "scontrol show job -d -o"
# For how many seconds a job has had a GPU, at the time of the reading. So one reading tells of all the time before it.
HELD = "SLURM_JOB_HELD"
JOB, USER, ACCOUNT = "hpc_job", "user", "account"
# Who tells that an owner has a GPU, where it is not what the GPU was read by: a label of the owner.
TOLD_BY, SLURM = "told_by", "slurm"
# GPUs that one job is believed to have.
MOST_GPUS = 4096

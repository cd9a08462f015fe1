"""What Slurm says of GPUs: the labels of a job, and the line that stands above what `scontrol` prints."""

from __future__ import annotations

# The line that names the format, as the command itself is called. A `#` before it is no part of it.
COMMAND = "scontrol show job -d -o"
JOB, USER, ACCOUNT = "hpc_job", "user", "account"
# GPUs that one job is believed to have.
MOST_GPUS = 4096

"""Owners that a scheduler tells of. That they have a GPU is known, but nothing was read off the GPU in that time."""

from __future__ import annotations

from telemetry.readings.slurm import TOLD_BY

# Their numbers, as a query within others.
TOLD_OWNERS = f"SELECT id FROM owners WHERE job IS NOT NULL AND labels ? '{TOLD_BY}'"  # noqa: S608 - a name of ours
# The condition on an allocation `a` that the GPU was read in its minutes.
IS_READ = f"a.owner_id NOT IN ({TOLD_OWNERS})"

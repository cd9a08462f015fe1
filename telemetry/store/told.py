"""Owners that a scheduler tells of. That they have a GPU is known, but nothing was read off the GPU in that time.

Both conditions are constants, so that Postgres sees that the index of such owners answers them.
"""

from __future__ import annotations

from telemetry.readings.tellers import HELD, TOLD_BY

# Their numbers, as a query within others.
TOLD_OWNERS = f"SELECT id FROM owners WHERE labels ? '{TOLD_BY}'"  # noqa: S608 - a name of ours
# The condition on an allocation `a` that the GPU was read in its minutes.
IS_READ = f"a.owner_id NOT IN ({TOLD_OWNERS})"
# The metrics by which they are told, as a query within others.
TELLING_METRICS = f"SELECT id FROM metrics WHERE name IN ({', '.join(repr(name) for name in sorted(HELD))})"  # noqa: S608 - the same

"""Which edge GPUs are of: the first that told of a GPU in a file that names host and index, none without such a file."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on

from telemetry.store.models import GpuPlace

# `gpu_id`, the edge's name and its cluster, the part of the name before the first slash; a row for each GPU at most.
EDGES = (
    select(GpuPlace.gpu_id, GpuPlace.edge, func.split_part(GpuPlace.edge, "/", 1).label("cluster"))
    .ext(distinct_on(GpuPlace.gpu_id))
    .order_by(GpuPlace.gpu_id, GpuPlace.first_seen, GpuPlace.edge)
    .subquery("edges")
)
# In the order of an answer.
COLUMNS = {"cluster": EDGES.c.cluster, "edge": EDGES.c.edge}

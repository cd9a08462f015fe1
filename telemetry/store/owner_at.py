"""Who had a GPU at a time, as an expression of SQL that its readers put into theirs."""

from __future__ import annotations

# An owner that had it until a minute before counts too: what ends a stretch of readings is later than the last of them. Of
# several owners it is one that readings name, before one that a scheduler tells of; then the one that has the GPU longest, and
# then the newest.
OWNER_AT = """coalesce((
    SELECT o.labels FROM allocations a JOIN owners o ON o.id = a.owner_id
    WHERE a.gpu_id = {gpu_id} AND o.labels <> '{{}}'
        AND a.day BETWEEN (({at} - interval '1 minute') AT TIME ZONE 'UTC')::date AND ({at} AT TIME ZONE 'UTC')::date
        AND (a.held @> {at} OR a.held @> {at} - interval '1 minute')
    ORDER BY o.labels ? 'told_by', upper(a.held) DESC, lower(a.held) DESC, o.id DESC LIMIT 1
), '{{}}')"""

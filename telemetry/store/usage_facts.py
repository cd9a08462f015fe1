"""How GPUs were used in some stretches of time: the SQL that sums it up from allocations and samples.

Upkeep keeps the sums of whole hours, and a question about usage sums up what upkeep has not. So both get the same numbers. All
is worked out minute by minute, because an owner is known to the minute:

- A minute is held by the owners that its readings name. Where several have a GPU, each has an even share of the minute, so that
  the shares add up to the GPU. Nobody has it only where no other owner does.
- A minute that only a scheduler tells of is held, and not read.
- A gap of up to BRIDGE_MINUTES without any reading is held by the owners that both its ends have.
- Busy is a minute as its mean utilisation says. GR_ENGINE_ACTIVE stands in where GPU_UTIL has no reading, as for MIG instances.
- Energy is what the counter has gained since the reading before, by the minute of the later one. A counter that fell began anew
  from 0, unless it says more than any GPU draws in that time: such a one is another counter. Without a counter it is the mean
  power of the minute.
"""

from __future__ import annotations

from typing import Any

from telemetry.readings.series import labels_digest
from telemetry.store.told import TOLD_OWNERS

BRIDGE_MINUTES = 10
UTILISATION, ENGINE = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
ENERGY, POWER = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE"
# Upper ends of bands of utilisation, in percent: what counts as idle is chosen among them when somebody asks.
BANDS = (1, 5, 10, 15, 25, 50)
SUMS = ("held_s", "read_s", "known_s", "busy_s", *(f"below_{percent}_s" for percent in BANDS), "counter_j", "power_j")
COLUMNS = ("hour", "gpu_id", "instance", "owner_id", *SUMS)
# Larger values are no utilisation, no energy and no power, and squares of them would overflow.
LARGEST = 1e15
# No GPU draws more. A file that is replayed from its begin has a counter that falls, and not to 0.
MOST_W = 10_000

PARAMETERS: dict[str, Any] = {
    "bridge": BRIDGE_MINUTES,
    "utilisation": UTILISATION,
    "engine": ENGINE,
    "energy": ENERGY,
    "power": POWER,
    "largest": LARGEST,
    "most_w": MOST_W,
    "nobody": labels_digest({}),
}

_BELOW = ", ".join(f"coalesce(sum(60 * share) FILTER (WHERE percent < {percent}), 0) AS below_{percent}_s" for percent in BANDS)

# The stretches must stand before it as `wanted`: gpu_id, low and high, in minutes since 1970, within one hour. What it gives is
# `facts`, with the COLUMNS. `:first` and `:last` are times before and after all stretches, by which partitions are left out.
FACTS = f"""
    around AS (
        SELECT w.gpu_id, w.low, w.high, a.instance, a.owner_id, minute
        FROM wanted w
        JOIN allocations a ON a.gpu_id = w.gpu_id AND a.day BETWEEN date '1970-01-01' + (w.low - :bridge) / 1440
                                                             AND date '1970-01-01' + (w.high + :bridge) / 1440
        CROSS JOIN LATERAL unnest(a.held * tstzmultirange(tstzrange(
            to_timestamp((w.low - :bridge) * 60.0), to_timestamp((w.high + :bridge + 1) * 60.0)))) AS r (span)
        CROSS JOIN LATERAL generate_series(
            (date_part('epoch', lower(r.span)) / 60)::int, (date_part('epoch', upper(r.span)) / 60)::int - 1) AS minute
    ), nobody AS (
        SELECT min(id) AS id FROM owners WHERE digest = :nobody
    ), told AS MATERIALIZED (
        {TOLD_OWNERS}
    ), minutes AS (
        SELECT m.*, lead(minute) OVER following AS next, lead(owners) OVER following AS next_owners
        FROM (
            SELECT a.gpu_id, low, high, instance, minute,
                   array_agg(owner_id ORDER BY owner_id) FILTER (WHERE owner_id <> coalesce(nobody.id, 0)) AS owners,
                   bool_or(owner_id NOT IN (SELECT id FROM told)) AS is_read
            FROM around a CROSS JOIN nobody GROUP BY 1, 2, 3, 4, 5
        ) m
        WINDOW following AS (PARTITION BY gpu_id, low, instance ORDER BY minute)
    ), gaps AS (
        SELECT m.*, ARRAY(SELECT unnest(owners) INTERSECT SELECT unnest(next_owners)) AS common
        FROM minutes m WHERE next - minute BETWEEN 2 AND :bridge + 1
    ), cells AS (
        SELECT gpu_id, low, instance, minute, is_read, owners FROM minutes WHERE minute >= low AND minute < high
        UNION ALL
        SELECT gpu_id, low, instance, gap, false, nullif(common, ARRAY[]::bigint[])
        FROM gaps CROSS JOIN LATERAL generate_series(greatest(minute + 1, low), least(next, high) - 1) AS gap
        WHERE cardinality(common) > 0 OR (owners IS NULL AND next_owners IS NULL)
    ), parted AS MATERIALIZED (
        SELECT DISTINCT gpu_id, low FROM around WHERE instance <> ''
    ), shares AS (
        -- A GPU in MIG mode is held by its instances: as a whole it is neither free nor held, but draws power.
        SELECT c.gpu_id, c.low, c.instance, c.minute, c.is_read, coalesce(o.id, nobody.id) AS owner_id,
               1.0::float8 / coalesce(cardinality(c.owners), 1) AS share,
               CASE WHEN c.instance = '' AND c.owners IS NULL AND p.gpu_id IS NOT NULL THEN 0 ELSE 60 END AS seconds
        FROM cells c CROSS JOIN nobody LEFT JOIN LATERAL unnest(c.owners) AS o (id) ON true
        LEFT JOIN parted p ON p.gpu_id = c.gpu_id AND p.low = c.low
    ), chosen AS MATERIALIZED (
        SELECT s.id, s.gpu_id, coalesce(s.mig_instance, '') AS instance, m.name
        FROM series s JOIN metrics m ON m.id = s.metric_id
        WHERE m.name IN (:utilisation, :engine, :energy, :power) AND s.gpu_id IN (SELECT gpu_id FROM wanted)
    ), pieces AS (
        SELECT w.low, w.high, c.* FROM wanted w JOIN chosen c ON c.gpu_id = w.gpu_id
        WHERE c.name IN (:utilisation, :energy) OR NOT EXISTS (
            SELECT FROM chosen better
            WHERE better.gpu_id = c.gpu_id AND better.instance = c.instance
                AND better.name = CASE c.name WHEN :engine THEN :utilisation ELSE :energy END
                AND EXISTS (SELECT FROM samples_of(better.id, to_timestamp(w.low * 60.0), to_timestamp(w.high * 60.0))
                            WHERE ts >= :first AND ts < :last AND ts < to_timestamp(w.high * 60.0)))
    ), sums AS MATERIALIZED (
        SELECT p.gpu_id, p.low, p.instance, p.name, s.*
        FROM pieces p CROSS JOIN LATERAL (
            SELECT floor(date_part('epoch', ts) / 60)::int AS minute, avg(value) AS mean,
                   sum(CASE WHEN value >= before THEN value - before
                            WHEN value <= 1000.0 * :most_w * extract(epoch FROM ts - ts_before) THEN value END) AS gain
            FROM (
                SELECT ts, value, lag(value) OVER steps AS before, lag(ts) OVER steps AS ts_before
                FROM samples_of(p.id, to_timestamp((p.low - CASE p.name WHEN :energy THEN :bridge ELSE 0 END) * 60.0),
                                to_timestamp(p.high * 60.0))
                WHERE ts >= :first AND ts < :last AND ts < to_timestamp(p.high * 60.0) AND abs(value) < :largest
                WINDOW steps AS (ORDER BY ts)
            ) readings GROUP BY 1
        ) s
    ), measured AS MATERIALIZED (
        -- Two series of one counter, under other labels, tell the same.
        SELECT gpu_id, low, instance, minute,
               avg(CASE name WHEN :engine THEN 100 ELSE 1 END * mean) FILTER (WHERE name IN (:utilisation, :engine)) AS percent,
               60 * avg(mean) FILTER (WHERE name = :power) AS power_j,
               max(gain) FILTER (WHERE name = :energy) / 1000 AS counter_j
        FROM sums GROUP BY 1, 2, 3, 4
    ), facts AS (
        SELECT to_timestamp(low / 60 * 3600.0) AS hour, gpu_id, instance, owner_id,
               sum(seconds * share) AS held_s,
               coalesce(sum(seconds * share) FILTER (WHERE is_read), 0) AS read_s,
               coalesce(sum(60 * share) FILTER (WHERE percent IS NOT NULL), 0) AS known_s,
               coalesce(sum(60 * share * percent / 100), 0) AS busy_s,
               {_BELOW},
               coalesce(sum(share * counter_j), 0) AS counter_j,
               coalesce(sum(share * power_j), 0) AS power_j
        FROM shares LEFT JOIN measured USING (gpu_id, low, instance, minute)
        GROUP BY low, gpu_id, instance, owner_id
    )
"""  # noqa: S608 - numbers of above

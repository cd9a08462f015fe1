"""What a database does alone: the server copies the CSV text into a raw table, then one SQL statement normalises it."""

from __future__ import annotations

import time

from psycopg import sql

from benchmarks import data
from benchmarks.bench import Bench, BenchError
from telemetry.store.partitions import DAY_US, Partitions

# Unlogged: nobody would write a scratch table to the log.
RAW = """
    CREATE UNLOGGED TABLE raw (timestamp text, metric_name text, gpu_id text, device text, uuid text, "modelName" text,
        "Hostname" text, container text, pod text, namespace text, value text, labels_raw text)
"""
COPY = "COPY raw FROM {} (FORMAT csv, HEADER, FORCE_NOT_NULL (container, pod, namespace))"
# What its plan needs: the statistics of a WITH are guesses, and rows in the order of the index are worth sorting.
PLAN = "SET LOCAL work_mem = '64MB'; SET LOCAL enable_mergejoin = off"
NORMALISE = """
    WITH k AS MATERIALIZED (
        SELECT metric_name, uuid, container, pod, namespace, min(gpu_id) AS gpu_id, min(device) AS device,
               min("modelName") AS model, min("Hostname") AS host,
               sha256(convert_to(container || E'\\n' || pod || E'\\n' || namespace, 'UTF8')) AS digest
        FROM raw GROUP BY metric_name, uuid, container, pod, namespace
    ), m AS (
        INSERT INTO metrics (name) SELECT DISTINCT metric_name FROM k RETURNING id, name
    ), g AS (
        INSERT INTO gpus (identity, uuid, host, gpu_index, device, model)
        SELECT uuid, uuid, min(host), min(gpu_id)::int, min(device), min(model) FROM k GROUP BY uuid RETURNING id, uuid
    ), s AS (
        INSERT INTO series (gpu_id, metric_id, labels_digest, container, pod, namespace, labels)
        SELECT g.id, m.id, k.digest, k.container, k.pod, k.namespace,
               jsonb_build_object('container', k.container, 'pod', k.pod, 'namespace', k.namespace)
        FROM k JOIN m ON m.name = k.metric_name JOIN g USING (uuid)
        RETURNING id, gpu_id, metric_id, container, pod, namespace
    ), named AS MATERIALIZED (
        SELECT s.id, m.name AS metric_name, g.uuid, s.container, s.pod, s.namespace
        FROM s JOIN m ON m.id = s.metric_id JOIN g ON g.id = s.gpu_id
    )
    INSERT INTO samples (series_id, ts, value)
    SELECT named.id AS series_id, raw.timestamp::timestamptz AS ts, raw.value::double precision
    FROM raw JOIN named USING (metric_name, uuid, container, pod, namespace)
    ORDER BY series_id, ts
    ON CONFLICT DO NOTHING
"""


def run(bench: Bench) -> dict[str, float]:
    """The whole file, committed once; the two steps apart too."""
    file = bench.whole
    with bench.site() as site:
        engine = site.engine()
        Partitions(engine).ensure([data.DAY_US // DAY_US])
        engine.dispose()
        with site.database() as connection:
            begun = time.perf_counter()
            with connection.transaction():
                connection.execute(RAW)
                connection.execute(sql.SQL(COPY).format(sql.Literal(str(file.path))))
                copied = time.perf_counter()
                connection.execute(PLAN)
                stored = connection.execute(NORMALISE).rowcount
            done = time.perf_counter()
    if stored != file.rows:
        raise BenchError(f"SQL normalised {stored} of {file.rows} rows")
    return {"rows_per_s": file.rows / (done - begun), "copy_s": copied - begun, "normalise_s": done - copied}

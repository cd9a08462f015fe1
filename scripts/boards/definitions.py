"""What Grafana's boards show: pages that each answer one question of whoever keeps the pipeline running.

Those of the GPUs themselves stand in `fleet`. `render` makes Grafana's JSON of them. Names of metrics are those of
`telemetry.monitoring` and `telemetry.exporter`.
"""

from __future__ import annotations

from scripts.boards.fleet import FLEET, ONE_GPU, OWNERS
from scripts.boards.render import Board, Panel

RATE = "[$__rate_interval]"
PAIR = "{{source_cluster}} → {{target_cluster}}"

LATENCY = Board(
    "latency",
    "telemetry: latency between clusters",
    (
        Panel(
            "Median latency, first publish to commit",
            "max by (source_cluster, target_cluster) (cross_cluster_latency_seconds)",
            *("s", PAIR),
            limit=0.1,
            about="Over the last minute, on the broker's clock. Absent where nothing flows.",
        ),
        Panel(
            "95th percentile",
            "histogram_quantile(0.95, sum by (le, source_cluster, target_cluster)"
            f" (rate(telemetry_batch_latency_seconds_bucket{RATE})))",
            *("s", PAIR),
        ),
        Panel(
            "Share of batches within 100 ms",
            f'sum by (source_cluster, target_cluster) (rate(telemetry_batch_latency_seconds_bucket{{le="0.1"}}{RATE}))'
            f" / sum by (source_cluster, target_cluster) (rate(telemetry_batch_latency_seconds_count{RATE}))",
            *("percentunit", PAIR),
        ),
        Panel(
            "Transaction, 95th percentile",
            f"histogram_quantile(0.95, sum by (le) (rate(telemetry_transaction_seconds_bucket{RATE})))",
            *("s", "transaction"),
            about="The database's part of the latency.",
        ),
    ),
)

QUEUE = Board(
    "queue",
    "telemetry: queue and lag",
    (
        Panel("Messages waiting", "telemetry_queue_messages", legend="waiting", columns=8),
        Panel("Messages being worked on", "telemetry_queue_unacked_messages", legend="unacknowledged", columns=8),
        Panel(
            "Broker memory",
            "telemetry_broker_memory_bytes / (telemetry_broker_memory_limit_bytes > 0)",
            *("percentunit", "used"),
            limit=0.8,
            columns=8,
        ),
        Panel(
            "Lag by cluster",
            "sum by (source_cluster) (telemetry_edge_lag_bytes)",
            *("bytes", "{{source_cluster}}"),
            about="Bytes of all sources that are not committed.",
        ),
        Panel(
            "Lag by cluster, in time",
            "max by (source_cluster) (telemetry_source_lag_seconds)",
            *("s", "{{source_cluster}}"),
            about="How long ago the oldest bytes that are not committed were seen in a file.",
        ),
        Panel("Lag by cluster, in rows", "sum by (source_cluster) (telemetry_source_lag_rows)", legend="{{source_cluster}}"),
        Panel(
            "Windows, the fullest of each edge",
            "max by (edge) (telemetry_source_window_ratio)",
            *("percentunit", "{{edge}}"),
            about="At 1 an edge publishes no more of a source until the centre acknowledges.",
        ),
        Panel("Sources that lag most", "topk(20, telemetry_source_lag_bytes)", "bytes", kind="table", columns=24),
    ),
)

HEALTH = Board(
    "health",
    "telemetry: health of the components",
    (
        Panel(
            "Broker reachable",
            "min by (cluster, component) (message_queue_connection_status)",
            legend="{{cluster}} {{component}}",
            about="1 while the broker answers the process.",
        ),
        Panel(
            "Seconds since the loop turned",
            "max by (cluster, component) (telemetry_heartbeat_age_seconds)",
            *("s", "{{cluster}} {{component}}"),
            limit=90,
        ),
        Panel("Ticks published", f"sum by (instance) (rate(telemetry_ticks_published_total{RATE}))", "ops", "{{instance}}"),
        Panel("Exporter sees", "telemetry_exporter_up", legend="{{part}}"),
        Panel("Edges silent for", "telemetry_edge_silent_seconds", "s", "{{edge}}", limit=300),
        Panel("Setbacks of collectors", f"sum(rate(telemetry_collector_setbacks_total{RATE}))", "ops", "tried again"),
        Panel("Memory of processes", "sum by (job) (process_resident_memory_bytes)", "bytes", "{{job}}"),
        Panel(
            "API, 95th percentile by route",
            f"histogram_quantile(0.95, sum by (le, route) (rate(telemetry_api_request_seconds_bucket{RATE})))",
            *("s", "{{route}}"),
        ),
        Panel("What runs", "telemetry_build_info", kind="table", columns=24),
    ),
)

FLOW = Board(
    "flow",
    "telemetry: flow between clusters",
    (
        Panel(
            "Rows committed",
            f"sum by (source_cluster, target_cluster) (rate(telemetry_rows_committed_total{RATE}))",
            *("rowsps", PAIR),
        ),
        Panel(
            "Batches by outcome",
            f"sum by (settlement) (rate(telemetry_batches_settled_total{RATE}))",
            *("ops", "{{settlement}}"),
            about="Known: it came twice, and was stored once.",
        ),
        Panel("Rows published", f"sum by (instance) (rate(telemetry_rows_published_total{RATE}))", "rowsps", "{{instance}}"),
        Panel(
            "Rows published again, and rows that came again",
            f"sum(rate(telemetry_rows_republished_total{RATE})) + sum(rate(telemetry_rows_doubled_total{RATE}))",
            *("rowsps", "again"),
            about="What losses on the way cost. Nothing is stored twice.",
        ),
        Panel(
            "Batches published",
            f"sum by (publication) (rate(telemetry_batches_published_total{RATE}))",
            *("ops", "{{publication}}"),
            about="Again: there was evidence that the first was lost.",
        ),
        Panel("Sources by edge", "telemetry_edge_sources", legend="{{edge}}"),
        Panel(
            "Rows committed a minute, by edge",
            "SELECT date_bin('1 minute', committed_at, 'epoch') AS time, edge AS metric, sum(rows) AS rows"
            " FROM batches WHERE $__timeFilter(committed_at) GROUP BY 1, 2 ORDER BY 1",
            language="postgres",
            about="As the ledger has it.",
        ),
    ),
)

INGEST = Board(
    "ingest",
    "telemetry: ingest",
    (
        Panel("Rows by class", f"sum by (row_class) (rate(telemetry_rows_committed_total{RATE}))", "rowsps", "{{row_class}}"),
        Panel(
            "Rows in the ledger",
            "sum by (row_class) (telemetry_ledger_rows)",
            legend="{{row_class}}",
            about="Exact: what the ledger says, whatever process was killed.",
        ),
        Panel("Rows a batch, median", f"histogram_quantile(0.5, sum by (le) (rate(telemetry_batch_rows_bucket{RATE})))"),
        Panel(
            "Batches a transaction, mean",
            f"sum(rate(telemetry_transaction_batches_sum{RATE})) / sum(rate(telemetry_transaction_batches_count{RATE}))",
            legend="batches",
        ),
        Panel("Ledger gaps", "sum by (edge) (telemetry_ledger_gaps)", legend="{{edge}}", limit=1, columns=8),
        Panel("Rows in quarantine", "telemetry_quarantined_rows", legend="rows", columns=8),
        Panel("Dead letters", "telemetry_dead_letters", legend="letters", limit=1, columns=8),
        Panel(
            "Quarantine by reason",
            "SELECT reason, count(*) AS rows, max(quarantined_at) AS last FROM quarantine"
            " WHERE $__timeFilter(quarantined_at) GROUP BY reason ORDER BY rows DESC",
            kind="table",
            language="postgres",
            columns=24,
        ),
    ),
)

DATABASE = Board(
    "database",
    "telemetry: database",
    (
        Panel("Size", "telemetry_database_size_bytes", "bytes", "database"),
        Panel("Size by table", "telemetry_table_size_bytes", "bytes", "{{table}}"),
        Panel("Growth a day", "deriv(telemetry_database_size_bytes[15m]) * 86400", "bytes", "at the pace of now"),
        Panel("Partitions of the samples", "telemetry_partitions", legend="partitions"),
        Panel("Time since the last commit", "telemetry_last_commit_age_seconds", "s", "ago", kind="stat", columns=8),
        Panel("Last partition ends in", "telemetry_partitions_left_seconds", "s", kind="stat", columns=8),
        Panel(
            "Sessions",
            "SELECT application_name, coalesce(state, '?') AS state, count(*) AS sessions FROM pg_stat_activity"
            " WHERE application_name LIKE 'telemetry-%' GROUP BY 1, 2 ORDER BY 1, 2",
            kind="table",
            language="postgres",
            columns=8,
        ),
        Panel(
            "Partitions",
            "SELECT c.relname AS partition, pg_total_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0) AS rows"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'samples'::regclass"
            " ORDER BY c.relname DESC LIMIT 60",
            kind="table",
            language="postgres",
            columns=24,
        ),
    ),
)

BOARDS = (LATENCY, QUEUE, HEALTH, FLOW, INGEST, DATABASE, FLEET, ONE_GPU, OWNERS)

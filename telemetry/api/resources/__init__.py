"""The URLs, a module each, named after the first part of its path; no resource imports another.

The fleet: `gpus`, `readings` and `allocations` (of one GPU), `hosts`, `metrics`, `fleet` (`/query`), `raw_readings`
(`/readings`), `prometheus` (its remote read), `usage`, `latest` (and `/live`), `stats`, `gpu_health` (`/health` under the
prefix), `events`, `disputes` (who tells of another owner). How it came in: `pipeline`, `edges`, `sources`, `batches`,
`quarantine`, `conflicts`, `deadletters`, `uploads`. The system: `audit_log`, `health`, `own_metrics` (`/metrics` for
Prometheus), `index` (`/`), `docs`.
"""
